import { Flex, Text } from '@backstage/ui';

import { useGet } from '../api/hooks';
import { CostGroup, ModelCost, ModelSummary, Savings } from '../api/types';
import { Facts } from '../components/Facts';
import { Grid } from '../components/Grid';
import { Nothing, Section, Show } from '../components/Section';
import { words } from '../components/State';
import { Quotas } from './Quotas';
import { useModelName } from './useModelName';

/** What a model costs, who pays, what it is going to cost, and what could be saved. */
export const CostTab = () => {
  const model = useModelName();
  const cost = useGet<ModelCost>(`/cost/models/${model}`, 60);
  const summary = useGet<ModelSummary>(`/overview/models/${model}`);
  return (
    <Flex direction="column" gap="4">
      <Section title="This month">
        <Show loaded={cost}>
          {of => <Present of={of} costCentre={summary.data?.costCentre} />}
        </Show>
      </Section>
      <Section title="What it is made of">
        <Show loaded={cost}>{of => <Parts of={of} />}</Show>
      </Section>
      <Section title="What could be saved">
        <Saved model={model} />
      </Section>
      {summary.data && <Quotas team={summary.data.owner} />}
    </Flex>
  );
};

const Present = ({
  of,
  costCentre,
}: {
  of: ModelCost;
  costCentre?: string;
}) => {
  const money = (amount: string) => `${amount} ${of.currency}`;
  return (
    <Flex direction="column" gap="4">
      <Facts
        of={[
          ['Cost centre', costCentre],
          [of.month, money(of.total)],
          ['Of it shared', money(of.shared)],
          ['Forecast', of.forecast && money(of.forecast)],
          [
            'Per thousand predictions',
            of.perThousandPredictions && money(of.perThousandPredictions),
          ],
          ['Budget', of.budget && budget(of.budget, money)],
        ]}
      />
      {of.unpriced.map(({ resource, sku, quantity, unit }) => (
        <Text key={`${resource} ${sku}`}>
          No price covers {resource} {sku}: {quantity} {unit}s are in none of
          these figures.
        </Text>
      ))}
      {of.anomalies.map(({ day, cost, expected, cause }) => (
        <Text key={day}>
          {day} cost {money(cost)} instead of {money(expected)}: {cause}.
        </Text>
      ))}
      {of.days.length === 0 && (
        <Nothing
          what="It has cost nothing this month."
          how="What its servers, batch runs and training use is metered and shows within minutes."
        />
      )}
    </Flex>
  );
};

function budget(
  { monthly, exceeded, percent }: NonNullable<ModelCost['budget']>,
  money: (amount: string) => string,
): string {
  if (exceeded) {
    return `${money(monthly)}, used up`;
  }
  return percent === null
    ? money(monthly)
    : `${money(monthly)}, ${percent} % used`;
}

const Parts = ({ of }: { of: ModelCost }) => (
  <Flex direction="column" gap="5">
    <Groups
      of={of}
      caption="By version"
      groups={of.versions}
      name={({ version }) => (version ? `v${version}` : 'no version')}
    />
    <Groups
      of={of}
      caption="By environment"
      groups={of.environments}
      name={({ environment }) => environment ?? 'none'}
    />
    <Groups
      of={of}
      caption="By resource"
      groups={of.resources}
      name={({ resource }) => words(resource ?? '')}
    />
    <Groups
      of={of}
      caption="By day"
      groups={[...of.days].reverse()}
      name={({ day }) => day}
    />
    <Grid
      caption="By month"
      head={['Month', `Cost, ${of.currency}`]}
      rows={[...of.months].reverse().map(({ month, cost }) => [month, cost])}
    />
  </Flex>
);

const Groups = ({
  of,
  caption,
  groups,
  name,
}: {
  of: ModelCost;
  caption: string;
  groups: CostGroup[];
  name: (group: CostGroup) => string | null;
}) => (
  <Grid
    caption={caption}
    head={['', `Cost, ${of.currency}`, 'Of it shared', 'Per thousand']}
    rows={groups.map(group => [
      name(group),
      group.cost,
      group.shared,
      group.perThousandPredictions ?? '—',
    ])}
  />
);

const Saved = ({ model }: { model: string }) => {
  const savings = useGet<Savings>(`/cost/recommendations?model=${model}`);
  return (
    <Show loaded={savings}>
      {({ items, withheld }) => (
        <Flex direction="column" gap="4">
          {items.length === 0 && (
            <Nothing what="Nothing is recommended by the usage of the last seven days." />
          )}
          {items.length > 0 && (
            <Grid
              caption="By the usage of the last seven days"
              head={['Change', 'Saves a month', 'Why', 'Objectives']}
              rows={items.map(one => [
                <code key="change">{one.change}</code>,
                `${one.saving} ${one.currency}`,
                one.reason,
                one.checked,
              ])}
            />
          )}
          {withheld.map(
            ({ kind, environment, saving, currency, objective }) => (
              <Text key={`${kind} ${environment}`}>
                Not recommended: {words(kind)} would save {saving} {currency} a
                month, but {objective}.
              </Text>
            ),
          )}
        </Flex>
      )}
    </Show>
  );
};
