import { useApi } from '@backstage/frontend-plugin-api';
import { Flex, Text } from '@backstage/ui';
import { useState } from 'react';

import { platformApiRef } from '../api/client';
import { useGet } from '../api/hooks';
import { WholeSupportRequest } from '../api/types';
import { Confirm } from '../components/Confirm';
import { Facts } from '../components/Facts';
import { Offers } from '../components/Offers';
import { Show } from '../components/Section';
import { State, words } from '../components/State';
import { Time } from '../components/Time';
import { entityPath, shortRef } from '../model';

const NAMES: Record<string, string> = {
  answer: 'Answer…',
  note: 'Add a note…',
  resolve: 'Resolve…',
};
const PATHS: Record<string, string> = {
  answer: 'answers',
  note: 'notes',
  resolve: 'resolution',
};
const SAID: Record<string, string> = {
  answer: 'Whoever asked is waiting for this.',
  note: 'It stands below what was said so far.',
  resolve: 'It is settled then; it can be read, and noted on, ever after.',
};

/** A request with what was said about it. */
export const OneRequest = ({
  id,
  changed,
}: {
  id: string;
  changed: () => void;
}) => {
  const request = useGet<WholeSupportRequest>(`/support/requests/${id}`, 10);
  return (
    <Show loaded={request}>
      {found => (
        <Whole
          of={found}
          done={() => {
            request.reload();
            changed();
          }}
        />
      )}
    </Show>
  );
};

const Whole = ({ of, done }: { of: WholeSupportRequest; done: () => void }) => {
  const api = useApi(platformApiRef);
  const [chosen, setChosen] = useState<{ action: string; key: string }>();
  return (
    <Flex direction="column" gap="4">
      <Facts
        of={[
          [
            'State',
            <State key="state" of={of.overdue ? 'overdue' : of.state} />,
          ],
          [
            'About',
            of.entityRef && (
              <a key="about" href={entityPath(of.entityRef)}>
                {shortRef(of.entityRef)}
              </a>
            ),
          ],
          ['First answer due', <Time key="due" at={of.dueAt} />],
          [
            'First answered',
            of.answeredAt && <Time key="answered" at={of.answeredAt} />,
          ],
        ]}
      />
      <Said by={of.askedBy} what="asked" at={of.askedAt} text={of.text} />
      {of.entries.map((one, index) => (
        <Said
          key={index}
          by={one.by}
          what={words(one.kind)}
          at={one.at}
          text={one.text}
        />
      ))}
      <Offers
        of={of.actions.filter(
          ({ allowed, action }) => allowed || action === 'answer',
        )}
        names={NAMES}
        choose={action => setChosen({ action, key: crypto.randomUUID() })}
      />
      {chosen && (
        <Confirm
          title={NAMES[chosen.action].replace('…', '')}
          verb={NAMES[chosen.action].replace('…', '')}
          otherwise="Cancel"
          reason="required"
          reasonLabel="What you say"
          act={text =>
            api.post(
              `/support/requests/${of.id}/${PATHS[chosen.action]}`,
              { text },
              chosen.key,
            )
          }
          close={() => {
            setChosen(undefined);
            done();
          }}
        >
          {SAID[chosen.action]}
        </Confirm>
      )}
    </Flex>
  );
};

const Said = ({
  by,
  what,
  at,
  text,
}: {
  by: string;
  what: string;
  at: string;
  text: string;
}) => (
  <Flex direction="column" gap="1">
    <Text variant="body-small" color="secondary">
      {shortRef(by)}, {what}, <Time at={at} />
    </Text>
    <Text style={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }}>
      {text}
    </Text>
  </Flex>
);
