import { Alert, Flex } from '@backstage/ui';

import { useGet, usePages } from '../api/hooks';
import { AuditEvent } from '../api/types';
import { Grid } from '../components/Grid';
import { More } from '../components/More';
import { Nothing, Section, Show } from '../components/Section';
import { Time } from '../components/Time';
import { useModelName } from './useModelName';

interface Verification {
  valid: boolean;
  events: number;
  faults: { message: string }[];
}

/** Who did what with a model, from the append-only log. */
export const AuditTab = () => {
  const model = useModelName();
  const events = usePages<AuditEvent>(
    `/audit/events?subject=model:${model}&order=newest&limit=50`,
    10,
  );
  return (
    <Section title="Audit trail">
      <Flex direction="column" gap="3">
        <Chain />
        <Show loaded={events}>
          {found =>
            found.length === 0 ? (
              <Nothing what="Nothing is recorded about this model yet." />
            ) : (
              <Flex direction="column" gap="2">
                <Grid
                  caption="Events about this model"
                  head={['When', 'Who', 'What', 'About']}
                  rows={found.map(({ event }) => [
                    <Time key="at" at={event.time} />,
                    event.actor,
                    event.type.replace(/^ml-platform\./, ''),
                    about(event.subject, model),
                  ])}
                />
                <More pages={events} />
              </Flex>
            )
          }
        </Show>
      </Flex>
    </Section>
  );
};

const Chain = () => {
  const check = useGet<Verification>('/audit/verification');
  if (!check.data) {
    return null;
  }
  const { valid, events, faults } = check.data;
  return valid ? (
    <Alert
      status="success"
      icon
      title={`The log is whole: ${events.toLocaleString(
        'en',
      )} events, each chained to the one before it and signed.`}
    />
  ) : (
    <Alert
      status="danger"
      icon
      title="The log was tampered with"
      description={faults[0]?.message}
    />
  );
};

function about(subject: string, model: string): string {
  const rest = subject.slice(`model:${model}`.length).replace(/^\//, '');
  return rest || 'the model';
}
