import { SupportRequest } from '../api/types';
import { inShort } from './Requests';

const NOW = Date.parse('2026-03-01T12:00:00Z');
const REQUEST = {
  state: 'open',
  askedBy: 'user:default/ada',
  askedAt: '2026-03-01T11:00:00Z',
  dueAt: '2026-03-01T15:00:00Z',
  overdue: false,
} as SupportRequest;

describe('a request in a line', () => {
  it('says until when it has to be answered', () => {
    expect(inShort(REQUEST, NOW)).toBe(
      'its answer is due in 3 hours; asked by ada 1 hour ago',
    );
  });

  it('says that it is overdue', () => {
    const late = { ...REQUEST, overdue: true, dueAt: '2026-03-01T10:00:00Z' };
    expect(inShort(late, NOW)).toBe(
      'overdue: its answer was due 2 hours ago; asked by ada 1 hour ago',
    );
  });

  it('says what became of it', () => {
    expect(inShort({ ...REQUEST, state: 'resolved' }, NOW)).toBe(
      'resolved; asked by ada 1 hour ago',
    );
  });
});
