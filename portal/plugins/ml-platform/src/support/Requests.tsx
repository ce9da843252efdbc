import { Button, Flex } from '@backstage/ui';
import { useState } from 'react';

import { usePages } from '../api/hooks';
import { SupportRequest } from '../api/types';
import { Choice } from '../components/Choice';
import { Details } from '../components/Details';
import { More } from '../components/More';
import { Nothing, Section, Show } from '../components/Section';
import { words } from '../components/State';
import { ago } from '../components/Time';
import { shortRef } from '../model';
import { Ask } from './Ask';
import { OneRequest } from './OneRequest';

const WHICH = {
  '': 'All',
  'state=open': 'Not answered',
  'overdue=true': 'Overdue',
  'mine=true': 'Mine',
};

/** What was asked. Everybody reads all of it, so that an answer serves whoever asks next. */
export const Requests = () => {
  const [which, setWhich] = useState('');
  const [asking, setAsking] = useState(false);
  const requests = usePages<SupportRequest>(
    `/support/requests?limit=20${which && `&${which}`}`,
    10,
  );
  return (
    <Section
      title="Requests"
      actions={
        <Flex gap="2" align="end" style={{ flexWrap: 'wrap' }}>
          <Choice name="Show" of={WHICH} value={which} choose={setWhich} />
          <Button size="small" onPress={() => setAsking(true)}>
            Ask the platform team…
          </Button>
        </Flex>
      }
    >
      <Show loaded={requests}>
        {found =>
          found.length === 0 ? (
            <Nothing
              what={which ? 'There is none.' : 'Nothing was asked yet.'}
              how="Whatever you ask here is answered by the platform team, in the time that its priority has."
            />
          ) : (
            <Flex direction="column" gap="2">
              {found.map(one => (
                <Details
                  key={one.id}
                  title={`${one.priority} · ${one.title}`}
                  subtitle={inShort(one)}
                >
                  {() => <OneRequest id={one.id} changed={requests.reload} />}
                </Details>
              ))}
              <More pages={requests} />
            </Flex>
          )
        }
      </Show>
      {asking && (
        <Ask
          close={() => {
            setAsking(false);
            requests.reload();
          }}
        />
      )}
    </Section>
  );
};

/** Returns where a request is, in a line. */
export function inShort(of: SupportRequest, now = Date.now()): string {
  const asked = `asked by ${shortRef(of.askedBy)} ${ago(of.askedAt, now)}`;
  if (of.state === 'open') {
    return of.overdue
      ? `overdue: its answer was due ${ago(of.dueAt, now)}; ${asked}`
      : `its answer is due ${ago(of.dueAt, now)}; ${asked}`;
  }
  return `${words(of.state)}; ${asked}`;
}
