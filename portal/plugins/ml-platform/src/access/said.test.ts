import { Decision, Grant, Review, ReviewItem } from '../api/types';
import {
  consequence,
  lastDays,
  lateness,
  offered,
  partsOf,
  permission,
  scopeOf,
  verdict,
} from './said';

const item = (changes: Partial<ReviewItem>) =>
  ({ principal: 'user:default/ada', ...changes } as ReviewItem);

describe('a permission in a review', () => {
  it.each([
    ['membership', 'group:default/risk', 'ada is a member of risk'],
    [
      'role',
      'role:auditor by group:default/audit',
      'ada has the role auditor, as a member of audit',
    ],
    [
      'role',
      'role:labeller by user:default/ada',
      'ada has the role labeller by name',
    ],
    [
      'grant',
      'read dataset:default/people for analytics (0197f2c4-0000-7000-8000-000000000001)',
      'ada may read dataset:default/people for analytics for a time',
    ],
  ] as const)('of kind %s is a sentence', (kind, target, said) =>
    expect(permission(item({ kind, target }))).toBe(said),
  );

  it('says what the platform does by itself, and what it leaves to somebody', () => {
    expect(consequence(item({ kind: 'grant', target: 'x' }))).toBe(
      'The grant ends at once.',
    );
    expect(
      consequence(item({ kind: 'membership', target: 'group:default/risk' })),
    ).toContain('user:default/ada has to be taken out of group:default/risk');
  });
});

describe('what waits in a review', () => {
  const now = Date.parse('2026-03-01T00:00:00Z');
  const review = (changes: Partial<Review>) =>
    ({
      state: 'open',
      dueAt: '2026-03-08T00:00:00Z',
      remindedAt: null,
      escalatedAt: null,
      ...changes,
    } as Review);

  it('is late once administrators may decide, or its time is over', () => {
    expect(lateness(review({}), now)).toBeNull();
    expect(
      lateness(review({ remindedAt: '2026-02-20T00:00:00Z' }), now)?.state,
    ).toBe('reminded');
    expect(
      lateness(review({ escalatedAt: '2026-02-27T00:00:00Z' }), now),
    ).toEqual({
      state: 'overdue',
      text: 'overdue, administrators may decide too',
    });
    expect(
      lateness(review({ dueAt: '2026-03-01T00:00:00Z' }), now)?.text,
    ).toContain('expires now');
    expect(
      lateness(
        review({ state: 'closed', escalatedAt: '2026-02-27T00:00:00Z' }),
        now,
      ),
    ).toBeNull();
  });
});

describe('the buttons of a grant', () => {
  const names = (changes: Partial<Grant>, allowed = true) =>
    offered({
      kind: 'grant',
      state: 'requested',
      justified: null,
      actions: ['approve', 'deny', 'revoke', 'look-at'].map(action => ({
        action,
        allowed,
        reason: null,
        fix: null,
      })),
      ...changes,
    } as Grant).map(({ action }) => action);

  it('are those that make sense as things are', () => {
    expect(names({})).toEqual(['approve', 'deny', 'revoke']);
    // Why somebody may not decide is worth saying; that strangers can't revoke is not.
    expect(names({}, false)).toEqual(['approve', 'deny']);
    expect(names({ state: 'active' })).toEqual(['revoke']);
    expect(names({ state: 'expired', kind: 'break-glass' })).toEqual([
      'look-at',
    ]);
    expect(
      names({ state: 'expired', kind: 'break-glass', justified: true }),
    ).toEqual([]);
  });
});

describe('an answer of the policies', () => {
  const decision = (changes: Partial<Decision>) =>
    ({
      allowed: false,
      principal: 'user:default/ada',
      action: 'read',
      resource: 'dataset:default/people',
      explanation: 'no rule permits it; ask with `platform access request …`',
      rules: [],
      ...changes,
    } as Decision);

  it('names the rule, and no command for a terminal', () => {
    const rule = { rule: 'data.purpose-required', reason: 'it is pii' };
    expect(
      verdict(
        decision({
          rules: [rule],
          explanation: 'denied by rule data.purpose-required because it is pii',
        }),
      ),
    ).toBe('Denied by rule data.purpose-required because it is pii.');
    expect(verdict(decision({}))).toBe(
      'No rule permits user:default/ada to read dataset:default/people.',
    );
  });
});

describe('what access is about', () => {
  it('is put together and taken apart', () => {
    expect(scopeOf('platform', 'x')).toBe('platform');
    expect(scopeOf('dataset', ' default/people ')).toBe(
      'dataset:default/people',
    );
    expect(partsOf('dataset:default/people')).toEqual({
      kind: 'dataset',
      name: 'default/people',
    });
    expect(partsOf('platform')).toEqual({ kind: 'platform', name: '' });
    expect(partsOf('group:default/risk')).toBeNull();
  });

  it('is looked at in whole days, so that a page does not ask again and again', () => {
    const [morning, evening] = ['01:00', '23:59'].map(at =>
      lastDays(30, Date.parse(`2026-03-01T${at}:00Z`)),
    );
    expect(morning).toEqual(evening);
    expect(morning).toEqual({
      from: '2026-01-30T00:00:00.000Z',
      to: '2026-03-02T00:00:00.000Z',
    });
  });
});
