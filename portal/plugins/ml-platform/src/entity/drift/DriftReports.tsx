import { Flex, Text } from '@backstage/ui';

import { usePages } from '../../api/hooks';
import { DriftReport } from '../../api/types';
import { Facts } from '../../components/Facts';
import { Grid } from '../../components/Grid';
import { More } from '../../components/More';
import { Nothing, Show } from '../../components/Section';
import { State } from '../../components/State';
import { Time } from '../../components/Time';

/** Whether what is live still sees and answers what it was made for, newest first. */
export const DriftReports = ({ model }: { model: string }) => {
  const reports = usePages<DriftReport>(
    `/drift/reports?model=${model}&limit=10`,
    30,
  );
  return (
    <Show loaded={reports}>
      {found =>
        found.length === 0 ? (
          <Nothing
            what="There is no drift report."
            how="Once a day what is live is judged: sampled predictions of servers and consumers (`serving.samples` in model.yaml), and what batch runs have scored. `platform drift run` asks for it now."
          />
        ) : (
          <Flex direction="column" gap="5">
            <Grid
              caption="Predictions held against the training reference"
              head={['Until', 'Where', 'Outcome', 'Rows', 'With truth']}
              rows={found.map(one => [
                <Time key="until" at={one.until} />,
                `v${one.version} in ${one.environment}`,
                <State key="outcome" of={one.outcome ?? one.state} />,
                one.rows,
                one.labelled,
              ])}
            />
            {found
              .filter(one => one.drifted.length > 0)
              .slice(0, 1)
              .map(one => (
                <Drifted key={one.id} of={one} />
              ))}
            <More pages={reports} />
          </Flex>
        )
      }
    </Show>
  );
};

const Drifted = ({ of }: { of: DriftReport }) => (
  <Flex direction="column" gap="2">
    <Text as="h3" weight="bold">
      What has drifted last, in {of.environment}
    </Text>
    <Facts
      of={[
        ['Until', <Time key="until" at={of.until} />],
        ['Retraining', retraining(of)],
        ['As a page', `platform drift show ${of.id} --html report.html`],
      ]}
    />
    <Grid
      caption="Columns that have drifted, most certain first"
      head={['Column', 'Part', 'What', 'Test', 'p', 'Distance']}
      rows={of.drifted.map(one => [
        one.column,
        one.part,
        one.check,
        one.test,
        one.p.toPrecision(2),
        one.distance === null ? '—' : one.distance.toPrecision(3),
      ])}
    />
  </Flex>
);

function retraining({ retraining: asked }: DriftReport): string | null {
  if (asked === null) {
    return null;
  }
  return asked.number === null ? asked.reason : `pull request #${asked.number}`;
}
