import { Text } from '@backstage/ui';

type Tone = 'success' | 'warning' | 'danger' | 'info' | 'secondary';

const TONES: Record<string, Tone> = {
  promoted: 'success',
  passed: 'success',
  passing: 'success',
  met: 'success',
  healthy: 'success',
  drifted: 'danger',
  not_enough_rows: 'secondary',
  no_reference: 'warning',
  live: 'success',
  ready: 'success',
  completed: 'success',
  merged: 'success',
  current: 'success',
  rolled_back: 'danger',
  breached: 'danger',
  at_risk: 'warning',
  acknowledged: 'info',
  resolved: 'success',
  active: 'success',
  failed: 'danger',
  failing: 'danger',
  rejected: 'danger',
  refused: 'danger',
  aborted: 'warning',
  suspected: 'warning',
  missing: 'warning',
  held: 'warning',
  waiting: 'warning',
  awaiting_approval: 'warning',
  rolling_back: 'warning',
  conflicts: 'warning',
  not_evaluated: 'warning',
  paused: 'warning',
  running: 'info',
  progressing: 'info',
  shadowing: 'info',
  comparing: 'info',
  starting: 'info',
  warming: 'info',
  promoting: 'info',
  canary: 'info',
  open: 'info',
  answered: 'info',
  challenger_better: 'success',
  challenger_worse: 'danger',
  stopped: 'warning',
  requested: 'warning',
  denied: 'danger',
  revoked: 'warning',
  'break-glass': 'danger',
  pending: 'warning',
  confirmed: 'success',
  collecting: 'info',
  closing: 'info',
  closed: 'success',
  reminded: 'info',
  overdue: 'danger',
  searching: 'info',
  found: 'info',
  awaiting_confirmation: 'warning',
  erasing: 'info',
  erased: 'success',
  partly_erased: 'warning',
  done: 'success',
  planned: 'info',
  deleting: 'info',
  deleted: 'success',
  kept: 'warning',
  published: 'success',
};

const MARKS: Record<Tone, string> = {
  success: '●',
  warning: '▲',
  danger: '■',
  info: '◐',
  secondary: '○',
};

/** A state in words, with a mark whose shape says as much as its colour. */
export const State = ({ of, text }: { of: string; text?: string }) => {
  const tone = TONES[of] ?? 'secondary';
  return (
    <Text as="span" style={{ whiteSpace: 'nowrap' }}>
      <Text as="span" color={tone} aria-hidden="true">
        {MARKS[tone]}{' '}
      </Text>
      {text ?? words(of)}
    </Text>
  );
};

/** Returns an identifier such as `awaiting_approval` as words. */
export function words(identifier: string): string {
  return identifier.replace(/^gate:(.*)$/, '$1 gate').replace(/[_-]/g, ' ');
}

/** Returns why something is refused, and what to do about it, as sentences. */
export function sentences(...said: (string | null | undefined)[]): string {
  return said
    .filter((one): one is string => Boolean(one))
    .map(one => (/[.!?]$/.test(one) ? one : `${one}.`))
    .join(' ');
}
