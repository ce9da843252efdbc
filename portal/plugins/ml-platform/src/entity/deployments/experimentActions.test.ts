import { ExperimentSummary } from '../../api/types';
import { stepsOf } from './experimentActions';

const names = (of: Partial<ExperimentSummary>) =>
  stepsOf(
    {
      champion: 1,
      challenger: 2,
      startedAt: null,
      endedAt: null,
      ...of,
    } as ExperimentSummary,
    'churn',
    'production',
  ).map(({ name }) => name);

describe('what can be done about an experiment', () => {
  it('is to say yes or no, or to stop it, before it has begun', () => {
    expect(names({ phase: 'awaiting_approval' })).toEqual([
      'Approve the experiment',
      'Reject the experiment',
      'Stop the experiment',
    ]);
    expect(names({ phase: 'starting' })).toEqual(['Stop the experiment']);
  });

  it('is to stop it or to decide while it goes on, and to decide afterwards', () => {
    const startedAt = '2026-03-01T12:00:00Z';
    const decide = ['Promote v2', 'Keep v1'];
    expect(names({ phase: 'running', startedAt })).toEqual([
      'Stop the experiment',
      ...decide,
    ]);
    expect(names({ phase: 'ended', startedAt, endedAt: startedAt })).toEqual(
      decide,
    );
  });
});
