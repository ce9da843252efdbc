import { configApiRef } from '@backstage/frontend-plugin-api';
import { TestApiProvider } from '@backstage/frontend-test-utils';
import { render, screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';

import { Problem } from '../api/client';
import { Confirm } from './Confirm';

const config = { getString: () => 'http://portal' } as never;

describe('Confirm', () => {
  it('keeps what was typed when the session ends, and goes on after signing in again', async () => {
    const open = jest.spyOn(window, 'open').mockReturnValue(null);
    const act = jest
      .fn()
      .mockRejectedValueOnce(new Problem(401, 'the token has expired'))
      .mockResolvedValueOnce({});
    const close = jest.fn();
    render(
      <TestApiProvider apis={[[configApiRef, config]]}>
        <Confirm
          title="Abort?"
          verb="Abort"
          reason="required"
          act={act}
          close={close}
        >
          It ends.
        </Confirm>
      </TestApiProvider>,
    );
    await userEvent.type(screen.getByLabelText(/Reason/), 'too slow');
    await userEvent.click(screen.getByRole('button', { name: 'Abort' }));
    expect(await screen.findByRole('alert')).toHaveTextContent(
      'Your session has ended.',
    );
    await userEvent.click(
      screen.getByRole('button', { name: 'Sign in again' }),
    );
    expect(open).toHaveBeenCalledWith('http://portal', '_blank');
    expect(screen.getByLabelText(/Reason/)).toHaveValue('too slow');
    expect(close).not.toHaveBeenCalled();
    await userEvent.click(screen.getByRole('button', { name: 'Abort' }));
    expect(act).toHaveBeenLastCalledWith('too slow');
    expect(close).toHaveBeenCalled();
  });
});
