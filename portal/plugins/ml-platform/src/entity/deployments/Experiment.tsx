import { Flex, Text } from '@backstage/ui';

import { useGet } from '../../api/hooks';
import { ExperimentSummary, Page } from '../../api/types';
import { Facts } from '../../components/Facts';
import { State, words } from '../../components/State';
import { Time } from '../../components/Time';
import { ExperimentActions } from './experimentActions';

/** The experiment that goes on in a place, or the last one as long as nobody has decided by it. */
export const Experiment = ({
  model,
  environment,
  done,
}: {
  model: string;
  environment: string;
  done: () => void;
}) => {
  const newest = useGet<Page<ExperimentSummary>>(
    `/experiments?model=${model}&environment=${environment}&limit=1`,
    5,
  );
  const found = newest.data?.items[0];
  if (!found || found.decision || (found.endedAt && !found.startedAt)) {
    return null;
  }
  return (
    <Flex direction="column" gap="2">
      <Text as="h3" weight="bold">
        {found.kind === 'shadow' ? 'Shadow run' : 'A/B experiment'}: v
        {found.challenger} beside v{found.champion}
      </Text>
      <Facts
        of={[
          [
            'State',
            <State
              key="state"
              of={found.outcome ?? found.phase}
              text={words(found.outcome ?? found.phase)}
            />,
          ],
          ['So far', found.summary],
          ['Why', found.reason],
          ...(found.kind === 'shadow' ? shadow(found) : assigned(found)),
          [
            found.endedAt ? 'Ended' : 'Ends at the latest',
            (found.endedAt ?? found.endsAt) && (
              <Time key="end" at={(found.endedAt ?? found.endsAt) as string} />
            ),
          ],
        ]}
      />
      <ExperimentActions
        of={found}
        model={model}
        environment={environment}
        done={() => {
          newest.reload();
          done();
        }}
      />
    </Flex>
  );
};

function shadow({ percent, figures }: ExperimentSummary): [string, string][] {
  const { errors, milliseconds } = figures;
  return [
    ['Gets copies of', `${percent} % of the requests`],
    [
      'Server errors',
      `${errors?.champion} live, ${errors?.challenger} challenger`,
    ],
    [
      'Answers took',
      `${milliseconds?.champion.toFixed(
        1,
      )} ms live, ${milliseconds?.challenger.toFixed(1)} ms challenger`,
    ],
  ];
}

function assigned({
  percent,
  keyHeader,
  figures,
}: ExperimentSummary): [string, string][] {
  const { keys, split, outcomes } = figures;
  return [
    ['Answers', `${percent} % of the keys in ${keyHeader}`],
    [
      'Keys',
      `${keys?.champion} live, ${keys?.challenger} challenger${
        split?.mismatch ? ': NOT split as asked, don’t trust the figures' : ''
      }`,
    ],
    ['Outcomes', String(outcomes?.taken)],
  ];
}
