import { useApi } from '@backstage/frontend-plugin-api';
import { Button, Flex, Text } from '@backstage/ui';
import { useState } from 'react';

import { platformApiRef } from '../api/client';
import { useGet, usePages } from '../api/hooks';
import {
  Action,
  RetentionItem,
  RetentionPolicy,
  RetentionRun,
} from '../api/types';
import { Confirm } from '../components/Confirm';
import { Details } from '../components/Details';
import { Grid } from '../components/Grid';
import { More } from '../components/More';
import { Nothing, Section, Show } from '../components/Section';
import { sentences, State, words } from '../components/State';
import { ago, Time } from '../components/Time';
import { shortRef } from '../model';
import { Certificate } from './Certificates';

/** How long things are kept, and the runs that delete what is over. */
export const Retention = ({ start }: { start?: Action }) => {
  const runs = usePages<RetentionRun>('/privacy/retention/runs?limit=10', 5);
  const [dry, setDry] = useState<boolean>();
  return (
    <Section
      title="Retention"
      actions={
        <Flex gap="2" style={{ flexWrap: 'wrap' }}>
          <Button
            size="small"
            variant="secondary"
            isDisabled={!start?.allowed}
            onPress={() => setDry(true)}
          >
            List what is over…
          </Button>
          <Button
            size="small"
            variant="secondary"
            isDisabled={!start?.allowed}
            onPress={() => setDry(false)}
          >
            Delete what is over…
          </Button>
        </Flex>
      }
    >
      <Flex direction="column" gap="4">
        {start && !start.allowed && (
          <Text variant="body-small" color="secondary">
            {sentences(start.reason, start.fix)}
          </Text>
        )}
        <Details
          title="How long things are kept"
          subtitle="the limits of the settings, and what models say that is shorter"
        >
          {() => <Policies />}
        </Details>
        <Show loaded={runs}>
          {found =>
            found.length === 0 ? (
              <Nothing
                what="There was no retention run yet."
                how="They run by `retention.schedule`; what would go can be listed before."
              />
            ) : (
              <Flex direction="column" gap="2">
                {found.map(one => (
                  <Details
                    key={one.id}
                    title={`${
                      one.dryRun ? 'List of what is over' : 'Deletion'
                    }, ${ago(one.requestedAt)}: ${words(one.state)}`}
                    subtitle={`${counted(one)}; ${
                      one.scheduled
                        ? 'by schedule'
                        : `asked for by ${shortRef(one.requestedBy)}`
                    }`}
                  >
                    {() => <One of={one} />}
                  </Details>
                ))}
                <More pages={runs} />
              </Flex>
            )
          }
        </Show>
      </Flex>
      {dry !== undefined && (
        <Start
          dry={dry}
          close={() => {
            setDry(undefined);
            runs.reload();
          }}
        />
      )}
    </Section>
  );
};

const Policies = () => {
  const policies = useGet<RetentionPolicy[]>('/privacy/retention/policies');
  return (
    <Show loaded={policies}>
      {found => (
        <Grid
          caption="Longest time that something is kept"
          head={['Kind', 'Of', 'Kept for', 'Because of']}
          rows={found.map(({ kind, scope, keep, source }) => [
            words(kind),
            scope,
            keep ?? 'ever',
            source,
          ])}
        />
      )}
    </Show>
  );
};

const One = ({ of }: { of: RetentionRun }) => {
  const items = usePages<RetentionItem>(
    `/privacy/retention/runs/${of.id}/items?limit=50`,
    of.finishedAt ? 0 : 5,
  );
  return (
    <Flex direction="column" gap="3">
      {of.message && <Text>{of.message}</Text>}
      <Show loaded={items}>
        {found =>
          found.length === 0 ? (
            <Nothing what="Nothing was over." />
          ) : (
            <>
              <Grid
                caption={of.dryRun ? 'What would go' : 'What was over'}
                head={['Kind', 'What', 'Over since', 'State']}
                rows={found.map(one => [
                  words(one.kind),
                  <span
                    key="name"
                    style={{ display: 'inline-block', minWidth: 160 }}
                  >
                    {one.name}
                  </span>,
                  <Time key="over" at={one.overSince} />,
                  <span key="state">
                    <State of={one.state} /> {one.reason}
                  </span>,
                ])}
              />
              <More pages={items} />
            </>
          )
        }
      </Show>
      {of.certificate && <Certificate id={of.certificate} />}
    </Flex>
  );
};

const Start = ({ dry, close }: { dry: boolean; close: () => void }) => {
  const api = useApi(platformApiRef);
  const [key] = useState(() => crypto.randomUUID());
  return (
    <Confirm
      title={dry ? 'List what is over?' : 'Delete what is over?'}
      verb={dry ? 'List' : 'Delete'}
      destructive={!dry}
      act={() => api.post('/privacy/retention/runs', { dryRun: dry }, key)}
      close={close}
    >
      {dry
        ? 'Nothing is deleted. The list says what would go, and what is kept and why.'
        : 'Everything that is over and not held is deleted. It can’t be taken back. A certificate says what went and what was kept.'}
    </Confirm>
  );
};

function counted({ counts }: RetentionRun): string {
  const by: Record<string, number> = {};
  for (const states of Object.values(counts)) {
    for (const [state, count] of Object.entries(states)) {
      by[state] = (by[state] ?? 0) + count;
    }
  }
  return (
    Object.entries(by)
      .map(([state, count]) => `${count} ${words(state)}`)
      .join(', ') || 'nothing was over'
  );
}
