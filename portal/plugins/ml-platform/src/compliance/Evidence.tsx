import { useApi } from '@backstage/frontend-plugin-api';
import { Button, Flex, Text, TextField } from '@backstage/ui';
import { useState } from 'react';

import { platformApiRef } from '../api/client';
import { usePages } from '../api/hooks';
import { EvidencePack } from '../api/types';
import { Confirm } from '../components/Confirm';
import { Facts } from '../components/Facts';
import { More } from '../components/More';
import { SaveFile } from '../components/Save';
import { Nothing, Section, Show } from '../components/Section';
import { sentences, State } from '../components/State';
import { ago } from '../components/Time';
import { shortRef } from '../model';
import { asTime, bytes, lastQuarter, wrong } from './periods';

/** Packs of evidence: asking for one about a period, following it, and taking its file to an auditor. */
export const Evidence = () => {
  // Who may not export them may not see them either; the refusal leads to where access is asked for.
  const packs = usePages<EvidencePack>('/evidence/packs?limit=5', 3);
  const [asking, setAsking] = useState(false);
  return (
    <Section
      title="Evidence"
      actions={
        <Button
          size="small"
          isDisabled={!packs.data || Boolean(packs.error)}
          onPress={() => setAsking(true)}
        >
          Export evidence…
        </Button>
      }
    >
      <Show loaded={packs}>
        {found =>
          found.length === 0 ? (
            <Nothing
              what="No evidence was exported yet."
              how="A pack holds everything on record about a period, and is verified offline."
            />
          ) : (
            <Flex direction="column" gap="5">
              {found.map(one => (
                <Pack key={one.id} of={one} />
              ))}
              <More pages={packs} />
            </Flex>
          )
        }
      </Show>
      {asking && (
        <Ask
          close={() => {
            setAsking(false);
            packs.reload();
          }}
        />
      )}
    </Section>
  );
};

const Pack = ({ of }: { of: EvidencePack }) => {
  const [from, to] = [of.from, of.to].map(time => time.slice(0, 10));
  return (
    <Flex direction="column" gap="2" style={{ overflowWrap: 'anywhere' }}>
      <Text as="h3" weight="bold">
        {from} to {to}
        {of.control && `, ${of.control}`} <State of={of.state} />
      </Text>
      <Text variant="body-small" color="secondary">
        {sentences(
          `Asked for by ${shortRef(of.requestedBy)} ${ago(of.requestedAt)}`,
          of.state === 'running' && of.events !== null
            ? `${of.written.toLocaleString('en')} of ${of.events.toLocaleString(
                'en',
              )} events are written`
            : null,
          of.reason,
        )}
      </Text>
      {of.state === 'done' && (
        <>
          <Facts
            of={[
              ['Events', of.events?.toLocaleString('en')],
              ['Size', of.bytes === null ? null : bytes(of.bytes)],
              ['SHA-256', of.sha256],
            ]}
          />
          <SaveFile
            path={`/evidence/packs/${of.id}/content`}
            name={`evidence-${from}-${to}.zip`}
            verb="Save the pack"
          />
        </>
      )}
    </Flex>
  );
};

const Ask = ({ close }: { close: () => void }) => {
  const api = useApi(platformApiRef);
  const [key] = useState(() => crypto.randomUUID());
  const [period, setPeriod] = useState(() => lastQuarter(new Date()));
  const [control, setControl] = useState('');
  const fault = wrong(period, new Date());
  const body = {
    from: asTime(period.from),
    to: asTime(period.to),
    ...(control.trim() && { control: control.trim() }),
  };
  return (
    <Confirm
      title="Export evidence?"
      verb="Export"
      otherwise="Cancel"
      ready={!fault}
      act={() =>
        api.post('/evidence/packs', body, `${key}-${JSON.stringify(body)}`)
      }
      close={close}
    >
      <Flex direction="column" gap="3">
        <Text>
          Everything on record about the period goes into one signed file:
          events, attestations, tables, a sample and OSCAL assessment results.
          Who took it is on record.
        </Text>
        <TextField
          label="From"
          description="The first day, or a time, in UTC."
          value={period.from}
          onChange={from => setPeriod({ ...period, from: from.trim() })}
          isRequired
        />
        <TextField
          label="To"
          description="The day after the last one, or a time."
          value={period.to}
          onChange={to => setPeriod({ ...period, to: to.trim() })}
          isRequired
        />
        <TextField
          label="Control"
          description="Only what shows this control, for example CC8.1. Everything, if left out."
          value={control}
          onChange={setControl}
        />
        {fault && (
          <Text role="status" color="danger">
            {fault}
          </Text>
        )}
      </Flex>
    </Confirm>
  );
};
