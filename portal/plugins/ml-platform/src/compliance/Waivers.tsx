import { useApi } from '@backstage/frontend-plugin-api';
import { Button, Flex, Text } from '@backstage/ui';
import { useState } from 'react';

import { platformApiRef } from '../api/client';
import { usePages } from '../api/hooks';
import { Action, Waiver } from '../api/types';
import { Confirm } from '../components/Confirm';
import { Facts } from '../components/Facts';
import { More } from '../components/More';
import { Nothing, Show } from '../components/Section';
import { sentences, State } from '../components/State';
import { utc } from '../components/Time';

type Decision = 'approve' | 'reject' | 'revoke';

/** Waivers, with what the user may do about each. */
export const Waivers = ({ path, none }: { path: string; none: string }) => {
  const waivers = usePages<Waiver>(path, 10);
  return (
    <Show loaded={waivers}>
      {found =>
        found.length === 0 ? (
          <Nothing
            what={none}
            how="`platform compliance waive` asks that a finding may pass for a time."
          />
        ) : (
          <Flex direction="column" gap="5">
            {found.map(one => (
              <One key={one.id} of={one} done={waivers.reload} />
            ))}
            <More pages={waivers} />
          </Flex>
        )
      }
    </Show>
  );
};

const One = ({ of, done }: { of: Waiver; done: () => void }) => {
  const [decision, setDecision] = useState<Decision>();
  const decide = action(of, 'decide');
  const revoke = action(of, 'revoke');
  return (
    <Flex direction="column" gap="2">
      <Text as="h3" weight="bold">
        {of.gate} of {of.model} <State of={of.state} />
      </Text>
      <Facts
        of={[
          ['Findings', of.checks.join(', ')],
          ['Where', of.environments.join(', ') || 'everywhere'],
          ['Reason', of.reason],
          ['Asked by', of.requestedBy],
          ['Decided by', of.decidedBy],
          ['Ends', utc(of.expiresAt)],
        ]}
      />
      {of.state === 'waiting' && (
        <Flex gap="2" style={{ flexWrap: 'wrap' }}>
          <Button
            size="small"
            isDisabled={!decide?.allowed}
            onPress={() => setDecision('approve')}
          >
            Approve…
          </Button>
          <Button
            size="small"
            variant="secondary"
            isDisabled={!decide?.allowed}
            onPress={() => setDecision('reject')}
          >
            Reject…
          </Button>
        </Flex>
      )}
      {of.state === 'waiting' && decide && !decide.allowed && (
        <Text variant="body-small" color="secondary">
          {sentences(decide.reason, decide.fix)}
        </Text>
      )}
      {of.state === 'active' && revoke?.allowed && (
        <Flex>
          <Button
            size="small"
            variant="secondary"
            onPress={() => setDecision('revoke')}
          >
            Revoke…
          </Button>
        </Flex>
      )}
      {decision && (
        <Decide
          of={of}
          decision={decision}
          close={() => {
            setDecision(undefined);
            done();
          }}
        />
      )}
    </Flex>
  );
};

const TITLES: Record<Decision, string> = {
  approve: 'Let these findings pass?',
  reject: 'Turn the wish down?',
  revoke: 'End the waiver now?',
};
const VERBS: Record<Decision, string> = {
  approve: 'Approve',
  reject: 'Reject',
  revoke: 'Revoke',
};

const Decide = ({
  of,
  decision,
  close,
}: {
  of: Waiver;
  decision: Decision;
  close: () => void;
}) => {
  const api = useApi(platformApiRef);
  const [key] = useState(() => crypto.randomUUID());
  const said: Record<Decision, string> = {
    approve: `Versions of ${
      of.model
    } with these findings are admitted until ${utc(
      of.expiresAt,
    )}. Other findings still refuse them.`,
    reject: 'The findings refuse the version as before.',
    revoke: `What was admitted by it stays live, and fails its control until the finding is mended.`,
  };
  return (
    <Confirm
      title={TITLES[decision]}
      verb={VERBS[decision]}
      destructive={decision === 'revoke'}
      reason={decision === 'approve' ? 'optional' : 'required'}
      reasonLabel={decision === 'revoke' ? 'Reason' : 'Comment'}
      act={text =>
        decision === 'revoke'
          ? api.post(
              `/compliance/waivers/${of.id}/revocation`,
              { reason: text },
              key,
            )
          : api.post(
              `/compliance/waivers/${of.id}/decision`,
              { decision, comment: text },
              key,
            )
      }
      close={close}
    >
      {said[decision]}
    </Confirm>
  );
};

function action({ actions }: Waiver, name: string): Action | undefined {
  return actions.find(one => one.action === name);
}
