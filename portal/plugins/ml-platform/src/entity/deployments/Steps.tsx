import { Text } from '@backstage/ui';

import { Step } from '../../api/types';
import { State, words } from '../../components/State';
import { lasting } from '../../components/Time';
import styles from './Steps.module.css';

/** The steps of a rollout, in their order. */
export const Steps = ({ of }: { of: Step[] }) => (
  <ol className={styles.steps} aria-label="Steps of the rollout">
    {of.map(step => (
      <li
        key={step.index}
        className={styles.step}
        data-state={step.state}
        aria-current={step.state === 'running' ? 'step' : undefined}
      >
        <Text weight="bold">
          {words(step.kind)}
          {step.weight !== null && step.kind !== 'start'
            ? ` ${step.weight} %`
            : ''}
        </Text>
        <State of={step.state} />
        <Text variant="body-small" color="secondary">
          {taken(step)}
        </Text>
      </li>
    ))}
  </ol>
);

function taken(step: Step): string {
  if (!step.startedAt) {
    return 'not yet';
  }
  const end = step.finishedAt ? Date.parse(step.finishedAt) : Date.now();
  return lasting((end - Date.parse(step.startedAt)) / 1000);
}
