import { useApi } from '@backstage/frontend-plugin-api';
import { Button, Flex, Text } from '@backstage/ui';
import { useState } from 'react';

import { platformApiRef } from '../../api/client';
import { useGet } from '../../api/hooks';
import { Action, Page, Place } from '../../api/types';
import { Confirm } from '../../components/Confirm';
import { sentences } from '../../components/State';

const NAMES: Record<string, string> = {
  approve: 'Approve…',
  reject: 'Reject…',
  promote: 'Promote now…',
  abort: 'Abort…',
  rollback: 'Roll back…',
};

interface Props {
  place: Place;
  done: () => void;
}

/** What the caller may do with a model in an environment; what they may not is shown with the reason. */
export const Actions = ({ place, done }: Props) => {
  const path = `/environments/${place.environment}/models/${place.model}/actions`;
  const actions = useGet<Page<Action>>(path, 5);
  const [open, setOpen] = useState<string>();
  const items = (actions.data?.items ?? []).filter(one => shown(one, place));
  const withReject = items.flatMap(one =>
    one.action === 'approve' ? [one, { ...one, action: 'reject' }] : [one],
  );
  const refused = items.filter(one => !one.allowed && one.reason);
  const finish = () => {
    setOpen(undefined);
    actions.reload();
    done();
  };
  return (
    <Flex direction="column" gap="1">
      <Flex gap="2" style={{ flexWrap: 'wrap' }}>
        {withReject.map(({ action, allowed }) => (
          <Button
            key={action}
            size="small"
            variant={action === 'approve' ? 'primary' : 'secondary'}
            isDisabled={!allowed}
            onPress={() => setOpen(action)}
          >
            {NAMES[action]}
          </Button>
        ))}
      </Flex>
      {refused.map(({ action, reason, fix }) => (
        <Text key={action} variant="body-small" color="secondary">
          {NAMES[action].replace('…', '')}: {sentences(reason, fix)}
        </Text>
      ))}
      {open && <Asked action={open} place={place} close={finish} />}
    </Flex>
  );
};

/** Deploying has a place of its own, and what can't apply now would only be in the way. */
function shown({ action, allowed }: Action, place: Place): boolean {
  if (action === 'deploy' || !(action in NAMES)) {
    return false;
  }
  const waits = place.rollout?.phase === 'awaiting_approval';
  if (action === 'approve') {
    return waits;
  }
  if (action === 'promote') {
    return Boolean(place.rollout) && !waits;
  }
  return action === 'abort'
    ? Boolean(place.rollout)
    : allowed || place.champion !== null;
}

const Asked = ({
  action,
  place,
  close,
}: {
  action: string;
  place: Place;
  close: () => void;
}) => {
  const api = useApi(platformApiRef);
  // One key for each time the dialog is open: pressing twice, or two tabs, do one thing.
  const [key] = useState(() => crypto.randomUUID());
  const { environment, model, champion, rollout } = place;
  const version = rollout?.version;
  const at = `/deployments/${rollout?.id}`;
  switch (action) {
    case 'approve':
    case 'reject':
      return (
        <Confirm
          title={`${
            action === 'approve' ? 'Approve' : 'Reject'
          } v${version} in ${environment}?`}
          verb={action === 'approve' ? 'Approve' : 'Reject'}
          destructive={action === 'reject'}
          reason="optional"
          reasonLabel="Comment"
          act={comment =>
            api.post(`${at}/approval`, { decision: action, comment }, key)
          }
          close={close}
        >
          {action === 'approve'
            ? `The rollout of v${version} begins at once. The platform judges every step, and ${ifWorse(
                champion,
              )} by itself if v${version} does worse.`
            : `v${version} is not rolled out. ${live(champion)}`}
        </Confirm>
      );
    case 'promote':
      return (
        <Confirm
          title={`Promote v${version} in ${environment} without further analysis?`}
          verb="Promote now"
          reason="required"
          act={reason => api.post(`${at}/promote`, { reason }, key)}
          close={close}
        >
          All traffic goes to v{version} now. The steps that are left are
          skipped, and nobody judges them.
        </Confirm>
      );
    case 'abort':
      return (
        <Confirm
          title={`Abort the rollout of v${version} in ${environment}?`}
          verb="Abort"
          destructive
          reason="required"
          act={reason => api.post(`${at}/abort`, { reason }, key)}
          close={close}
        >
          All traffic goes back to {named(champion)}. No request is dropped.
        </Confirm>
      );
    default:
      return (
        <Confirm
          title={`Roll ${model} back in ${environment}?`}
          verb="Roll back"
          destructive
          reason="required"
          act={reason =>
            api.post(
              `/environments/${environment}/models/${model}/rollback`,
              { reason },
              key,
            )
          }
          close={close}
        >
          {rollout
            ? `The rollout of v${version} is aborted, and all traffic goes back to ${named(
                champion,
              )}.`
            : `All traffic goes from ${named(
                champion,
              )} to the version that was live before it: within a second while that is kept warm, else as soon as it has started.`}
        </Confirm>
      );
  }
};

function ifWorse(version: number | null): string {
  return version === null
    ? 'takes its traffic away'
    : `goes back to v${version}`;
}

function named(version: number | null): string {
  return version === null
    ? 'no version, since none was live before'
    : `v${version}`;
}

function live(version: number | null): string {
  return version === null ? 'No version is live.' : `v${version} stays live.`;
}
