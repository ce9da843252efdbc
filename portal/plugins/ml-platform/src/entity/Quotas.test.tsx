import { TestApiProvider } from '@backstage/frontend-test-utils';
import { render, screen, waitFor } from '@testing-library/react';
import { SWRConfig } from 'swr';

import { platformApiRef } from '../api/client';
import { Quotas } from './Quotas';

const CPU = {
  environment: 'production',
  resource: 'cpu',
  unit: 'cores',
  limit: '4.0',
  used: '2.50',
  changedBy: ['group:default/platform'],
};

const show = (get: jest.Mock) =>
  render(
    <TestApiProvider apis={[[platformApiRef, { get } as never]]}>
      <SWRConfig value={{ provider: () => new Map() }}>
        <Quotas team="group:default/risk" />
      </SWRConfig>
    </TestApiProvider>,
  );

describe('Quotas', () => {
  it('shows what is in use, what may be, and who may change it', async () => {
    const get = jest
      .fn()
      .mockResolvedValue([
        CPU,
        { ...CPU, resource: 'models', unit: 'models', limit: '3', used: '1' },
      ]);
    show(get);
    const rows = await screen.findAllByRole('row');
    expect(get).toHaveBeenCalledWith('/quotas?team=group%3Adefault%2Frisk');
    expect(rows.slice(1).map(row => row.textContent)).toEqual([
      'productioncpu, cores2.54group:default/platform',
      'productionmodels13group:default/platform',
    ]);
  });

  it('says nothing where no quota holds', async () => {
    const get = jest.fn().mockResolvedValue([]);
    const { container } = show(get);
    await waitFor(() => expect(get).toHaveBeenCalled());
    expect(container).toBeEmptyDOMElement();
  });
});
