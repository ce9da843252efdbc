import { useApi } from '@backstage/frontend-plugin-api';
import { Button, Flex, Link, Select, Text } from '@backstage/ui';
import { useState } from 'react';

import { platformApiRef } from '../../api/client';
import { useGet } from '../../api/hooks';
import { Place, WholeIncident } from '../../api/types';
import { Confirm } from '../../components/Confirm';
import { Facts } from '../../components/Facts';
import { Grid } from '../../components/Grid';
import { Show } from '../../components/Section';
import { sentences, State, words } from '../../components/State';
import { Time, utc } from '../../components/Time';
import { Actions } from '../deployments/actions';

type Step = 'acknowledge' | 'resolve';

const CAUSES = [
  'change',
  'data',
  'dependency',
  'capacity',
  'configuration',
  'false-alarm',
  'other',
];

/** An incident with its timeline, and what the user may do about it. */
export const OneIncident = ({ id }: { id: string }) => {
  const incident = useGet<WholeIncident>(`/observability/incidents/${id}`, 10);
  return (
    <Show loaded={incident}>
      {found => <Whole of={found} done={incident.reload} />}
    </Show>
  );
};

const Whole = ({ of, done }: { of: WholeIncident; done: () => void }) => {
  const [step, setStep] = useState<Step>();
  const [shown, setShown] = useState(of.state !== 'resolved');
  const [suspect] = of.suspects;
  const refused = of.actions.find(one => !one.allowed);
  return (
    <Flex direction="column" gap="3">
      <Text as="h3" weight="bold">
        {of.title} <State of={of.state} />
      </Text>
      <Facts
        of={[
          ['Severity', of.severity],
          ['Began', <Time key="began" at={of.beganAt} />],
          ['Owner', [of.owner, of.onCall.who].filter(Boolean).join(', ')],
          ['Commander', of.roles.commander],
          ['Suspected', suspect && `${suspect.what}, by ${suspect.by}`],
          [
            'Runbook',
            of.runbook && (
              <Link key="runbook" href={of.runbook}>
                what to do
              </Link>
            ),
          ],
          ['Resolved', of.resolution && `${of.cause}: ${of.resolution}`],
        ]}
      />
      {of.state !== 'resolved' && (
        <Flex gap="2" style={{ flexWrap: 'wrap' }}>
          {of.actions.map(({ action, allowed }) => (
            <Button
              key={action}
              size="small"
              variant={action === 'acknowledge' ? 'primary' : 'secondary'}
              isDisabled={!allowed}
              onPress={() => setStep(action as Step)}
            >
              {`${words(action)[0].toUpperCase()}${action.slice(1)}…`}
            </Button>
          ))}
        </Flex>
      )}
      {of.state !== 'resolved' && of.model && of.environment && (
        <RollBack model={of.model} environment={of.environment} done={done} />
      )}
      {of.state === 'open' && refused && (
        <Text variant="body-small" color="secondary">
          {sentences(refused.reason, refused.fix)}
        </Text>
      )}
      {shown ? (
        <Grid
          caption="Timeline"
          head={['When', 'Who', 'What']}
          rows={of.timeline.map(({ at, actor, text }) => [
            utc(at),
            actor,
            text,
          ])}
        />
      ) : (
        <Flex>
          <Button
            size="small"
            variant="tertiary"
            onPress={() => setShown(true)}
          >
            Show the timeline
          </Button>
        </Flex>
      )}
      {step && (
        <Decide
          of={of}
          step={step}
          close={() => {
            setStep(undefined);
            done();
          }}
        />
      )}
    </Flex>
  );
};

/** What is live there, and the way back to what was. */
const RollBack = ({
  model,
  environment,
  done,
}: {
  model: string;
  environment: string;
  done: () => void;
}) => {
  const place = useGet<Place>(
    `/environments/${environment}/models/${model}`,
    5,
  );
  return place.data ? <Actions place={place.data} done={done} /> : null;
};

const Decide = ({
  of,
  step,
  close,
}: {
  of: WholeIncident;
  step: Step;
  close: () => void;
}) => {
  const api = useApi(platformApiRef);
  const [key] = useState(() => crypto.randomUUID());
  const [cause, setCause] = useState(CAUSES[0]);
  const path = `/observability/incidents/${of.id}`;
  return step === 'acknowledge' ? (
    <Confirm
      title="Take it in hand?"
      verb="Acknowledge"
      reason="optional"
      reasonLabel="What you are about to do"
      act={text => api.post(`${path}/acknowledgement`, { comment: text }, key)}
      close={close}
    >
      You are its commander until another is named.
    </Confirm>
  ) : (
    <Confirm
      title="Is it over?"
      verb="Resolve"
      reason="required"
      reasonLabel="What it was, and what ended it"
      act={text =>
        api.post(`${path}/resolution`, { cause, resolution: text }, key)
      }
      close={close}
    >
      <Select
        label="Cause"
        options={CAUSES.map(id => ({ id, label: words(id) }))}
        value={cause}
        onChange={value => setCause(String(value))}
      />
    </Confirm>
  );
};
