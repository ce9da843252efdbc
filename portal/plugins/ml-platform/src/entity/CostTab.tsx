import { Flex } from '@backstage/ui';

import { useGet } from '../api/hooks';
import { ModelSummary } from '../api/types';
import { Facts } from '../components/Facts';
import { Nothing, Section, Show } from '../components/Section';
import { useModelName } from './useModelName';

/** What a model costs, and who pays. */
export const CostTab = () => {
  const model = useModelName();
  const summary = useGet<ModelSummary>(`/overview/models/${model}`);
  return (
    <Section title="Cost">
      <Show loaded={summary}>
        {({ costCentre, monthlyCost }) => (
          <Flex direction="column" gap="4">
            <Facts
              of={[
                ['Cost centre', costCentre],
                ['This month', monthlyCost],
              ]}
            />
            {monthlyCost === null && (
              <Nothing
                what="No cost is recorded yet."
                how="The cost centre is that of model.yaml; what runs is charged to it once metering is configured."
              />
            )}
          </Flex>
        )}
      </Show>
    </Section>
  );
};
