import { TestApiProvider } from '@backstage/frontend-test-utils';
import { render, screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';

import { platformApiRef } from '../api/client';
import { Find } from './Find';
import { identifiersOf } from './identifiers';

const EMAIL = 'ada.quill@example.com';

describe('Find', () => {
  it('sends what the person goes by once, and keeps it nowhere', async () => {
    const post = jest.fn().mockResolvedValue({});
    const close = jest.fn();
    render(
      <TestApiProvider apis={[[platformApiRef, { post } as never]]}>
        <Find close={close} />
      </TestApiProvider>,
    );
    const field = screen.getByLabelText(/goes by/);
    expect(field).toHaveAttribute('autocomplete', 'off');
    expect(field).toHaveAttribute('spellcheck', 'false');
    await userEvent.type(field, `${EMAIL}\n\n C-1001 \n${EMAIL}`);
    expect(screen.getByRole('button', { name: 'Find' })).toBeDisabled();
    await userEvent.type(screen.getByLabelText(/Reason/), 'asked on 3 May');
    await userEvent.click(screen.getByRole('button', { name: 'Find' }));
    expect(post).toHaveBeenCalledTimes(1);
    // Without a key: remembering the request would mean to remember what is in it.
    expect(post).toHaveBeenCalledWith('/privacy/subject-requests', {
      identifiers: [EMAIL, 'C-1001'],
      reason: 'asked on 3 May',
    });
    expect(close).toHaveBeenCalled();
    const kept = [localStorage, sessionStorage].map(one => JSON.stringify(one));
    expect(`${kept} ${window.location.href}`).not.toContain(EMAIL);
  });

  it('takes one identifier a line, whatever ends the lines', () => {
    expect(identifiersOf(' a b \r\nc\n\n c\n')).toEqual(['a b', 'c']);
    expect(identifiersOf(' \n')).toEqual([]);
  });
});
