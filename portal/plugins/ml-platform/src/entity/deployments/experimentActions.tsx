import { useApi } from '@backstage/frontend-plugin-api';
import { Button, Flex, Text } from '@backstage/ui';
import { useState } from 'react';

import { platformApiRef } from '../../api/client';
import { useGet } from '../../api/hooks';
import { Action, ExperimentSummary } from '../../api/types';
import { Confirm } from '../../components/Confirm';
import { sentences } from '../../components/State';

/** Something that can be done about an experiment: `action` is what the API calls the right to it. */
interface Step {
  action: string;
  name: string;
  verb: string;
  title: string;
  text: string;
  destructive?: boolean;
  path: string;
  body: (said: string) => object;
}

interface Props {
  of: ExperimentSummary;
  model: string;
  environment: string;
  done: () => void;
}

/** What the caller may do about an experiment; what they may not is shown with the reason. */
export const ExperimentActions = ({ of, model, environment, done }: Props) => {
  const whole = useGet<{ actions: Action[] }>(`/experiments/${of.id}`, 5);
  const [open, setOpen] = useState<Step>();
  const rights = new Map(whole.data?.actions.map(one => [one.action, one]));
  const steps = stepsOf(of, model, environment).filter(({ action }) =>
    rights.has(action),
  );
  const refused = [...new Set(steps.map(({ action }) => action))]
    .map(action => rights.get(action) as Action)
    .filter(({ allowed }) => !allowed);
  return (
    <Flex direction="column" gap="1">
      <Flex gap="2" style={{ flexWrap: 'wrap' }}>
        {steps.map(step => (
          <Button
            key={step.name}
            size="small"
            variant="secondary"
            isDisabled={!rights.get(step.action)?.allowed}
            onPress={() => setOpen(step)}
          >
            {`${step.name}…`}
          </Button>
        ))}
      </Flex>
      {refused.map(({ action, reason, fix }) => (
        <Text key={action} variant="body-small" color="secondary">
          {action[0].toUpperCase() + action.slice(1)}: {sentences(reason, fix)}
        </Text>
      ))}
      {open && (
        <Asked
          step={open}
          id={of.id}
          close={() => {
            setOpen(undefined);
            whole.reload();
            done();
          }}
        />
      )}
    </Flex>
  );
};

const Asked = ({
  step,
  id,
  close,
}: {
  step: Step;
  id: string;
  close: () => void;
}) => {
  const api = useApi(platformApiRef);
  // One key for each time the dialog is open: pressing twice, or two tabs, do one thing.
  const [key] = useState(() => crypto.randomUUID());
  return (
    <Confirm
      title={step.title}
      verb={step.verb}
      destructive={step.destructive}
      reason={step.action === 'approve' ? 'optional' : 'required'}
      reasonLabel={step.action === 'approve' ? 'Comment' : 'Reason'}
      act={said =>
        api.post(`/experiments/${id}/${step.path}`, step.body(said), key)
      }
      close={close}
    >
      {step.text}
    </Confirm>
  );
};

/** Returns what can be asked for as the experiment is. */
export function stepsOf(
  { phase, champion, challenger, startedAt, endedAt }: ExperimentSummary,
  model: string,
  environment: string,
): Step[] {
  const steps: Step[] = [];
  if (phase === 'awaiting_approval') {
    for (const decision of ['approve', 'reject']) {
      const name = decision === 'approve' ? 'Approve' : 'Reject';
      steps.push({
        action: 'approve',
        name: `${name} the experiment`,
        verb: name,
        title: `${name} the experiment with v${challenger} in ${environment}?`,
        text:
          decision === 'approve'
            ? `v${challenger} is started, and answers its part of the requests.`
            : `v${challenger} is not tried. v${champion} stays live.`,
        destructive: decision === 'reject',
        path: 'approval',
        body: comment => ({ decision, comment }),
      });
    }
  }
  if (!endedAt) {
    steps.push({
      action: 'stop',
      name: 'Stop the experiment',
      verb: 'Stop',
      title: `Stop the experiment with v${challenger} in ${environment}?`,
      text: `Everybody meets v${champion} again. What was found stays, and can be decided by.`,
      destructive: true,
      path: 'stop',
      body: reason => ({ reason }),
    });
  }
  if (startedAt) {
    const ends = endedAt ? '' : ' The experiment ends with that.';
    steps.push(
      {
        action: 'decide',
        name: `Promote v${challenger}`,
        verb: 'Promote',
        title: `Promote v${challenger} of ${model} in ${environment}?`,
        text: `An ordinary rollout of v${challenger} is asked for, with its policy, approval and analysis.${ends}`,
        path: 'decision',
        body: reason => ({ decision: 'promote', reason }),
      },
      {
        action: 'decide',
        name: `Keep v${champion}`,
        verb: 'Keep',
        title: `Keep v${champion} of ${model} in ${environment}?`,
        text: `v${champion} stays live, and v${challenger} is not promoted.${ends}`,
        path: 'decision',
        body: reason => ({ decision: 'keep', reason }),
      },
    );
  }
  return steps;
}
