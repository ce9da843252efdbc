import { useApi } from '@backstage/frontend-plugin-api';
import { Button, Flex, Text } from '@backstage/ui';
import { useState } from 'react';

import { platformApiRef } from '../api/client';
import { useGet, usePages } from '../api/hooks';
import { Action, Campaign, Page } from '../api/types';
import { Confirm } from '../components/Confirm';
import { Facts } from '../components/Facts';
import { More } from '../components/More';
import { Nothing, Show } from '../components/Section';
import { sentences, State, words } from '../components/State';
import { Time } from '../components/Time';
import { shortRef } from '../model';

type Decision = 'pause' | 'resume' | 'advance' | 'retry' | 'abort';

const SAID: Record<Decision, string> = {
  pause: 'Nothing is opened or looked at until it is resumed.',
  resume: 'It goes on where it was.',
  advance: 'The next wave is opened now, whatever this one still waits for.',
  retry: 'Repositories that failed are tried again.',
  abort: 'Its open requests are closed, and nothing more is opened.',
};

/** Campaigns that bring a version of a template to its repositories. */
export const Campaigns = () => {
  const campaigns = usePages<Campaign>('/fleet/campaigns?limit=10', 5);
  const actions = useGet<Page<Action>>('/fleet/actions', 30);
  const decide = actions.data?.items.find(
    ({ action }) => action === 'decideCampaign',
  );
  return (
    <Show loaded={campaigns}>
      {found =>
        found.length === 0 ? (
          <Nothing
            what="There was no campaign yet."
            how="`platform fleet campaign start VERSION` brings a version of a template to every repository by pull request."
          />
        ) : (
          <Flex direction="column" gap="5">
            {found.map(one => (
              <One
                key={one.id}
                of={one}
                allowed={Boolean(decide?.allowed)}
                done={campaigns.reload}
              />
            ))}
            {decide &&
              !decide.allowed &&
              found.some(one => !one.finishedAt) && (
                <Text variant="body-small" color="secondary">
                  {sentences(decide.reason, decide.fix)}
                </Text>
              )}
            <More pages={campaigns} />
          </Flex>
        )
      }
    </Show>
  );
};

const One = ({
  of,
  allowed,
  done,
}: {
  of: Campaign;
  allowed: boolean;
  done: () => void;
}) => {
  const [decision, setDecision] = useState<Decision>();
  const counts = Object.entries(of.counts).filter(([, count]) => count > 0);
  return (
    <Flex direction="column" gap="2">
      <Text as="h3" weight="bold">
        {of.template} {of.version}
        {of.owner && `, ${shortRef(of.owner)}`} <State of={of.state} />
      </Text>
      <Facts
        of={[
          ['Wave', `${of.wave + 1} of ${of.waves.length + 1}`],
          [
            'Repositories',
            counts
              .map(([state, count]) => `${count} ${words(state)}`)
              .join(', ') || 'none',
          ],
          ['Started', <Time key="at" at={of.requestedAt} />],
          ['By', of.requestedBy],
        ]}
      />
      {of.message && <Text color="secondary">{of.message}</Text>}
      {of.finishedAt === null && (
        <Flex gap="2" style={{ flexWrap: 'wrap' }}>
          {possible(of).map(one => (
            <Button
              key={one}
              size="small"
              variant="secondary"
              isDisabled={!allowed}
              onPress={() => setDecision(one)}
            >
              {one[0].toUpperCase() + one.slice(1)}…
            </Button>
          ))}
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

function possible(of: Campaign): Decision[] {
  return of.state === 'paused'
    ? ['resume', 'abort']
    : ['pause', 'advance', 'retry', 'abort'];
}

const Decide = ({
  of,
  decision,
  close,
}: {
  of: Campaign;
  decision: Decision;
  close: () => void;
}) => {
  const api = useApi(platformApiRef);
  const [key] = useState(() => crypto.randomUUID());
  const asks = decision === 'abort' || decision === 'advance';
  return (
    <Confirm
      title={`${decision[0].toUpperCase()}${decision.slice(
        1,
      )} the campaign for ${of.version}?`}
      verb={decision[0].toUpperCase() + decision.slice(1)}
      destructive={decision === 'abort'}
      reason={asks ? 'required' : undefined}
      act={reason =>
        api.post(
          `/fleet/campaigns/${of.id}/decision`,
          { decision, ...(reason ? { reason } : {}) },
          key,
        )
      }
      close={close}
    >
      {SAID[decision]}
    </Confirm>
  );
};
