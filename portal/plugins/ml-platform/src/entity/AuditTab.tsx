import { Flex } from '@backstage/ui';

import { usePages } from '../api/hooks';
import { AuditEvent } from '../api/types';
import { LogState } from '../compliance/LogState';
import { Grid } from '../components/Grid';
import { More } from '../components/More';
import { Nothing, Section, Show } from '../components/Section';
import { Time } from '../components/Time';
import { useModelName } from './useModelName';

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
        <LogState />
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

function about(subject: string, model: string): string {
  const rest = subject.slice(`model:${model}`.length).replace(/^\//, '');
  return rest || 'the model';
}
