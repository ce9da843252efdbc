import { TestApiProvider } from '@backstage/frontend-test-utils';
import { render, screen, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';

import { platformApiRef } from '../api/client';
import { Survey } from '../api/types';
import { Questions } from './SurveyCard';

const SURVEY: Survey = {
  quarter: '2026-Q1',
  endsAt: '2026-04-01T00:00:00Z',
  questions: [
    { name: 'satisfaction', text: 'How satisfied are you?' },
    { name: 'help', text: 'How well are you helped?' },
  ],
  answer: null,
  results: {
    quarter: '2026-Q1',
    answers: 0,
    enough: false,
    mean: null,
    means: {},
    comments: null,
  },
  action: { action: 'answer', allowed: true, reason: null, fix: null },
};

describe('Questions', () => {
  it('sends all ratings at once, and not before each question is answered', async () => {
    const post = jest.fn().mockResolvedValue({});
    const done = jest.fn();
    render(
      <TestApiProvider apis={[[platformApiRef, { post } as never]]}>
        <Questions of={SURVEY} done={done} />
      </TestApiProvider>,
    );
    const rate = async (question: string, rating: string) =>
      userEvent.click(
        within(screen.getByRole('radiogroup', { name: question })).getByRole(
          'radio',
          { name: rating },
        ),
      );
    await rate('How satisfied are you?', '4');
    expect(screen.getByRole('button', { name: 'Answer' })).toBeDisabled();
    await rate('How well are you helped?', '5, very');
    await userEvent.click(screen.getByRole('button', { name: 'Answer' }));
    expect(post).toHaveBeenCalledWith('/support/survey', {
      ratings: { satisfaction: 4, help: 5 },
      comment: '',
    });
    expect(done).toHaveBeenCalled();
  });

  it('shows what was answered before', () => {
    const answer = { ratings: { satisfaction: 2, help: 3 }, comment: 'slow' };
    render(
      <TestApiProvider apis={[[platformApiRef, {} as never]]}>
        <Questions of={{ ...SURVEY, answer }} done={() => {}} />
      </TestApiProvider>,
    );
    const group = screen.getByRole('radiogroup', {
      name: 'How satisfied are you?',
    });
    expect(within(group).getByRole('radio', { name: '2' })).toBeChecked();
    expect(screen.getByRole('textbox')).toHaveValue('slow');
    expect(
      screen.getByRole('button', { name: 'Change my answer' }),
    ).toBeEnabled();
  });
});
