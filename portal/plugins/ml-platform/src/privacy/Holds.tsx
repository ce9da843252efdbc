import { useApi } from '@backstage/frontend-plugin-api';
import { Button, Flex, Text, TextField } from '@backstage/ui';
import { useState } from 'react';

import { platformApiRef } from '../api/client';
import { usePages } from '../api/hooks';
import { Action, LegalHold } from '../api/types';
import { Choice } from '../components/Choice';
import { Confirm } from '../components/Confirm';
import { More } from '../components/More';
import { Nothing, Section, Show } from '../components/Section';
import { sentences } from '../components/State';
import { ago } from '../components/Time';
import { shortRef } from '../model';

const WHICH = { false: 'In force', true: 'Lifted too' };

/** Legal holds: what is not deleted, whatever its age and whoever asks. */
export const Holds = ({ hold }: { hold?: Action }) => {
  const [released, setReleased] = useState('false');
  const holds = usePages<LegalHold>(
    `/privacy/holds?limit=20&released=${released}`,
    10,
  );
  const [placing, setPlacing] = useState(false);
  return (
    <Section
      title="Legal holds"
      actions={
        <Flex gap="2" align="end" style={{ flexWrap: 'wrap' }}>
          <Choice
            name="Show"
            of={WHICH}
            value={released}
            choose={setReleased}
          />
          <Button
            size="small"
            isDisabled={!hold?.allowed}
            onPress={() => setPlacing(true)}
          >
            Place a hold…
          </Button>
        </Flex>
      }
    >
      <Flex direction="column" gap="4">
        {hold && !hold.allowed && (
          <Text variant="body-small" color="secondary">
            {sentences(hold.reason, hold.fix)}
          </Text>
        )}
        <Show loaded={holds}>
          {found =>
            found.length === 0 ? (
              <Nothing
                what="Nothing is held."
                how="A hold keeps something from being deleted or erased, whatever its age."
              />
            ) : (
              <Flex direction="column" gap="4">
                {found.map(one => (
                  <One
                    key={one.id}
                    of={one}
                    allowed={Boolean(hold?.allowed)}
                    done={holds.reload}
                  />
                ))}
                <More pages={holds} />
              </Flex>
            )
          }
        </Show>
      </Flex>
      {placing && (
        <Place
          close={() => {
            setPlacing(false);
            holds.reload();
          }}
        />
      )}
    </Section>
  );
};

const One = ({
  of,
  allowed,
  done,
}: {
  of: LegalHold;
  allowed: boolean;
  done: () => void;
}) => {
  const api = useApi(platformApiRef);
  const [key, setKey] = useState<string>();
  return (
    <Flex direction="column" gap="1" style={{ overflowWrap: 'anywhere' }}>
      <Text as="h3" weight="bold">
        {of.subject}
      </Text>
      <Text variant="body-small" color="secondary">
        {sentences(
          `Held by ${shortRef(of.placedBy)} ${ago(of.placedAt)}: ${of.reason}`,
          of.releasedBy &&
            of.releasedAt &&
            `Lifted by ${shortRef(of.releasedBy)} ${ago(of.releasedAt)}: ${
              of.releaseReason
            }`,
        )}
      </Text>
      {of.releasedAt === null && allowed && (
        <Flex>
          <Button
            size="small"
            variant="secondary"
            onPress={() => setKey(crypto.randomUUID())}
          >
            Lift…
          </Button>
        </Flex>
      )}
      {key && (
        <Confirm
          title={`Lift the hold on ${of.subject}?`}
          verb="Lift"
          destructive
          reason="required"
          act={reason =>
            api.post(`/privacy/holds/${of.id}/release`, { reason }, key)
          }
          close={() => {
            setKey(undefined);
            done();
          }}
        >
          What is over goes with the next retention run, and people in it can be
          erased, unless another hold covers it.
        </Confirm>
      )}
    </Flex>
  );
};

const Place = ({ close }: { close: () => void }) => {
  const api = useApi(platformApiRef);
  const [key] = useState(() => crypto.randomUUID());
  const [subject, setSubject] = useState('');
  return (
    <Confirm
      title="Place a legal hold?"
      verb="Place"
      otherwise="Cancel"
      ready={subject.trim().length > 0}
      reason="required"
      act={reason =>
        api.post(
          '/privacy/holds',
          { subject: subject.trim(), reason },
          `${key}-${subject}`,
        )
      }
      close={close}
    >
      <Flex direction="column" gap="3">
        <Text>
          It is neither deleted nor erased until the hold is lifted, whatever
          its age and whoever asks.
        </Text>
        <TextField
          label="What is held"
          description="everything, environment:NAME, model:NAME, model:NAME/versions/N, dataset:FOLDER, kind:KIND (such as log, stream or subject_key), subject-request:ID, incident:ID or audit:log."
          value={subject}
          onChange={setSubject}
          isRequired
        />
      </Flex>
    </Confirm>
  );
};
