import '@testing-library/jest-dom';
import { configure } from '@testing-library/react';

// A busy machine is no failure: what is waited for may take a while, and a test that waits twice longer.
jest.setTimeout(120_000);
configure({ asyncUtilTimeout: 50_000 });
