import { Flex, Text } from '@backstage/ui';

import { useGet, usePages } from '../api/hooks';
import { Incident, ModelSlos, Slo } from '../api/types';
import { Facts } from '../components/Facts';
import { Grid } from '../components/Grid';
import { More } from '../components/More';
import { Nothing, Section, Show } from '../components/Section';
import { State } from '../components/State';
import { Time } from '../components/Time';
import { DriftReports } from './drift/DriftReports';
import { OneIncident } from './incidents/OneIncident';
import { Traffic } from './traffic/Traffic';
import { useModelName } from './useModelName';

/** What its users met, whether the model keeps its promises, and what went wrong. */
export const HealthTab = () => {
  const model = useModelName();
  const slos = useGet<ModelSlos>(`/observability/models/${model}/slos`, 10);
  const incidents = usePages<Incident>(
    `/observability/incidents?model=${model}&limit=10`,
    10,
  );
  return (
    <Flex direction="column" gap="4">
      <Traffic model={model} />
      <Section title="Objectives">
        <Show loaded={slos}>
          {({ slos: found }) =>
            found.length === 0 ? (
              <Nothing
                what="No objective is judged."
                how="Objectives are under `slos` in model.yaml, and are judged while a version is live."
              />
            ) : (
              <Objectives of={found} />
            )
          }
        </Show>
      </Section>
      <Section title="Drift">
        <DriftReports model={model} />
      </Section>
      <Section title="Incidents">
        <Show loaded={incidents}>
          {found =>
            found.length === 0 ? (
              <Nothing what="There was no incident." />
            ) : (
              <Flex direction="column" gap="6">
                {found.map(one => (
                  <OneIncident key={one.id} id={one.id} />
                ))}
                <More pages={incidents} />
              </Flex>
            )
          }
        </Show>
      </Section>
    </Flex>
  );
};

const Objectives = ({ of }: { of: Slo[] }) => (
  <Flex direction="column" gap="5">
    <Grid
      caption="What is promised, and what is left of each error budget"
      head={['Objective', 'Where', 'State', 'Budget left', 'Promise', 'Judged']}
      rows={of.map(one => [
        one.slo,
        `v${one.version} in ${one.environment}`,
        <State key="state" of={one.state} />,
        left(one.remaining),
        `${one.objective} % in ${Math.round(one.windowSeconds / 86_400)} d: ${
          one.meaning
        }`,
        <Time key="judged" at={one.evaluatedAt} />,
      ])}
    />
    {of
      .filter(one => Object.keys(one.firing).length > 0 || one.note)
      .map(one => (
        <Flex key={`${one.environment}/${one.slo}`} direction="column" gap="2">
          <Text as="h3" weight="bold">
            {one.slo} in {one.environment}
          </Text>
          <Facts
            of={[
              ...Object.entries(one.firing).map(
                ([alert, since]): [string, JSX.Element] => [
                  `Burns ${alert}`,
                  <Time key={alert} at={since} />,
                ],
              ),
              ['To know', one.note],
            ]}
          />
          <Grid
            caption="How many times as fast as it may the budget burns"
            head={['Alert', 'Long window', 'Short window', 'From', 'Now']}
            rows={one.burns.map(burn => [
              burn.alert,
              `${burn.long}: ${times(burn.longRate)}`,
              `${burn.short}: ${times(burn.shortRate)}`,
              times(burn.threshold),
              <State
                key="now"
                of={burn.firing ? 'breached' : 'met'}
                text={burn.firing ? 'burns' : 'holds'}
              />,
            ])}
          />
        </Flex>
      ))}
  </Flex>
);

/** Returns what is left of a budget in percent. */
export function left(remaining: number | null): string {
  return remaining === null ? '—' : `${(100 * remaining).toFixed(1)} %`;
}

function times(rate: number | null): string {
  return rate === null ? '—' : `${rate.toFixed(1)}×`;
}
