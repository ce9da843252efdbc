import { configApiRef } from '@backstage/frontend-plugin-api';
import { TestApiProvider } from '@backstage/frontend-test-utils';
import { render, screen } from '@testing-library/react';
import { MemoryRouter } from 'react-router-dom';

import { Problem } from '../api/client';
import { Refusal } from '../api/types';
import { Fault } from './Fault';

const config = { getString: () => 'http://portal' } as never;

const shown = (access: Partial<Refusal>) =>
  render(
    <MemoryRouter
      future={{ v7_startTransition: true, v7_relativeSplatPath: true }}
    >
      <TestApiProvider apis={[[configApiRef, config]]}>
        <Fault
          error={
            new Problem(403, 'ada may not deploy', 'Members of risk may.', {
              allowed: false,
              action: 'deploy',
              resource: 'model:churn',
              rules: [],
              ...access,
            })
          }
        />
      </TestApiProvider>
    </MemoryRouter>,
  );

describe('a refusal by the policies', () => {
  it('leads to where access is asked for, if that helps', () => {
    shown({ request: 'platform access request deploy model:churn' });
    expect(
      screen.getByRole('link', { name: 'Ask for access…' }),
    ).toHaveAttribute('href', '/access?action=deploy&resource=model%3Achurn');
  });

  it('names the rule that forbids it, past which no grant gets', () => {
    shown({ rules: ['acme.freeze'] });
    expect(screen.getByRole('alert')).toHaveTextContent(
      'Denied by rule acme.freeze. Members of risk may.',
    );
    expect(screen.queryByRole('link')).toBeNull();
  });
});
