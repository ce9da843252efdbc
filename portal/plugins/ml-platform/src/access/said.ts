import { Action, Decision, Grant, Review, ReviewItem } from '../api/types';
import { shortRef } from '../model';

/** Returns what a permission in a review lets somebody do. */
export function permission({ kind, principal, target }: ReviewItem): string {
  const who = shortRef(principal);
  switch (kind) {
    case 'membership':
      return `${who} is a member of ${shortRef(target)}`;
    case 'role': {
      const [role, holder] = target.replace(/^role:/, '').split(' by ');
      return holder === principal
        ? `${who} has the role ${role} by name`
        : `${who} has the role ${role}, as a member of ${shortRef(holder)}`;
    }
    case 'ownership':
      return `${who} owns ${target}`;
    default:
      return `${who} may ${target.replace(
        / \([0-9a-f-]{36}\)$/,
        '',
      )} for a time`;
  }
}

/** Returns what happens when a permission is revoked. */
export function consequence({ kind, principal, target }: ReviewItem): string {
  switch (kind) {
    case 'grant':
      return 'The grant ends at once.';
    case 'membership':
      return `The platform can't do that itself. The result will say that ${principal} has to be taken out of ${target} where the organisation keeps its groups.`;
    case 'role':
      return `The platform can't do that itself. The result will say that ${principal} has to be taken out of ${target}: in the settings, or out of that group.`;
    default:
      return `The platform can't do that itself. The result will say that ${target} needs another owner, in its repository.`;
  }
}

/** Returns whether what waits in a review has waited too long; null while there is time. */
export function lateness(
  { state, dueAt, remindedAt, escalatedAt }: Review,
  now = Date.now(),
): { state: string; text: string } | null {
  if (state !== 'open') {
    return null;
  }
  if (Date.parse(dueAt) <= now) {
    return { state: 'overdue', text: 'overdue, what is left expires now' };
  }
  if (escalatedAt) {
    return { state: 'overdue', text: 'overdue, administrators may decide too' };
  }
  return remindedAt ? { state: 'reminded', text: 'reminded' } : null;
}

/** Returns what of a grant's actions makes sense as things are, whoever asks. */
export function offered({ kind, state, actions, justified }: Grant): Action[] {
  return actions.filter(({ action, allowed }) => {
    switch (action) {
      case 'approve':
      case 'deny':
        return state === 'requested';
      case 'revoke':
        return allowed && (state === 'requested' || state === 'active');
      default:
        return kind === 'break-glass' && justified === null;
    }
  });
}

/** Returns a decision in a sentence, without the command that a terminal would want. */
export function verdict({
  allowed,
  explanation,
  rules,
  principal,
  action,
  resource,
}: Decision): string {
  const said =
    allowed || rules.length > 0
      ? explanation
      : `no rule permits ${principal} to ${action} ${resource}`;
  return `${said[0].toUpperCase()}${said.slice(1)}.`;
}

/** Returns what access is about, as the platform writes it. */
export function scopeOf(kind: string, name: string): string {
  return kind === 'platform' ? kind : `${kind}:${name.trim()}`;
}

/** Returns kind and name of what access is about; null of a text that is no such thing. */
export function partsOf(scope: string): { kind: string; name: string } | null {
  const [, kind, name = ''] =
    /^(model|dataset|classification|platform)(?::(.+))?$/.exec(scope) ?? [];
  return kind ? { kind, name } : null;
}

/** Returns the last so many whole days and today, in UTC; the same all day, so that it is asked for once. */
export function lastDays(
  days: number,
  now = Date.now(),
): { from: string; to: string } {
  const day = 86_400_000;
  const end = (Math.floor(now / day) + 1) * day;
  return {
    from: new Date(end - (days + 1) * day).toISOString(),
    to: new Date(end).toISOString(),
  };
}
