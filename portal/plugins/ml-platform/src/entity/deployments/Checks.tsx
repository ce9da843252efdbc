import { Text } from '@backstage/ui';

import { Check, Step } from '../../api/types';
import { Grid } from '../../components/Grid';
import { State } from '../../components/State';
import { checkName, milliseconds, percent } from './Rollout';

/** The tests of the newest step that was judged, with what was seen and what is allowed. */
export const Checks = ({ of }: { of: Step[] }) => {
  const judged = [...of].reverse().find(step => step.checks.length > 0);
  if (!judged) {
    return <Text color="secondary">No step has been judged yet.</Text>;
  }
  return (
    <Grid
      caption={`Checks of the step at ${judged.weight ?? 0} %`}
      head={['Check', 'Seen', 'Limit', 'Verdict']}
      rows={judged.checks.map(check => [
        checkName(check.name),
        shown(check, check.observed),
        shown(check, check.limit),
        <State key="verdict" of={check.verdict} />,
      ])}
    />
  );
};

function shown(check: Check, value: number | null): string {
  if (value === null) {
    return '—';
  }
  return /latency/i.test(check.name) ? milliseconds(value) : percent(value);
}
