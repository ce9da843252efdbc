import { Container, Flex, Header } from '@backstage/ui';

import { useGet, usePages } from '../api/hooks';
import { AuditEvent, FleetSummary, KeyFigureWithTrend } from '../api/types';
import { Grid } from '../components/Grid';
import { More } from '../components/More';
import { Nothing, Section, Show } from '../components/Section';
import { Time } from '../components/Time';
import { shortRef } from '../model';
import { Campaigns } from './Campaigns';
import { KeyFigures } from './KeyFigures';

/** The fleet as its platform engineers see it. */
export const FleetPage = () => {
  const figures = useGet<KeyFigureWithTrend[]>(
    '/overview/figures?months=12',
    300,
  );
  const adoption = useGet<FleetSummary[]>('/fleet/summary', 30);
  return (
    <>
      <Header title="Fleet" />
      <Container>
        <Flex direction="column" gap="4" pb="6">
          <Section title="Key figures of the last 30 days">
            <Show loaded={figures}>{found => <KeyFigures of={found} />}</Show>
          </Section>
          <Section title="Template adoption">
            <Show loaded={adoption}>{found => <Adoption of={found} />}</Show>
          </Section>
          <Section title="Campaigns">
            <Campaigns />
          </Section>
          <Section title="Deployments that needed help">
            <Helped />
          </Section>
        </Flex>
      </Container>
    </>
  );
};

const Adoption = ({ of }: { of: FleetSummary[] }) =>
  of.length === 0 ? (
    <Nothing
      what="No repository has come from a template yet."
      how="Create a model, and it is here."
    />
  ) : (
    <Grid
      caption="Repositories by owner and template"
      head={[
        'Owner',
        'Template',
        'Repositories',
        'Behind',
        'Open requests',
        'Faults',
      ]}
      rows={of.map(
        ({ owner, template, repositories, behind, openRequests, faults }) => [
          owner ? shortRef(owner) : 'nobody',
          template ?? 'none',
          repositories,
          behind,
          openRequests,
          faults,
        ],
      )}
    />
  );

const Helped = () => {
  const events = usePages<AuditEvent>(
    '/audit/events?type=ml-platform.deployments.deployment.broke_glass&order=newest&limit=20',
    30,
  );
  return (
    <Show loaded={events}>
      {found =>
        found.length === 0 ? (
          <Nothing what="No deployment has needed to override the policy." />
        ) : (
          <>
            <Grid
              caption="The policy was overridden"
              head={['When', 'Who', 'Deployment', 'Why']}
              rows={found.map(({ event }) => [
                <Time key="at" at={event.time} />,
                event.actor,
                event.subject,
                String(event.data.breakGlass),
              ])}
            />
            <More pages={events} />
          </>
        )
      }
    </Show>
  );
};
