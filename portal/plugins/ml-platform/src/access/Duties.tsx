import { Button, Flex, Text } from '@backstage/ui';
import { useState } from 'react';

import { useGet } from '../api/hooks';
import { Duties as Found } from '../api/types';
import { Choice } from '../components/Choice';
import { Grid } from '../components/Grid';
import { Nothing, Section, Show } from '../components/Section';
import { words } from '../components/State';
import { Time } from '../components/Time';
import { shortRef } from '../model';
import { lastDays } from './said';

const PERIODS = {
  30: 'Last 30 days',
  90: 'Last 90 days',
  365: 'Last 365 days',
};
const FEW = 20;

/** Who did alone what takes two people, and every use of break-glass. */
export const Duties = () => {
  const [days, setDays] = useState('90');
  const query = new URLSearchParams(lastDays(Number(days)));
  const duties = useGet<Found>(`/access/separation-of-duties?${query}`, 60);
  return (
    <Section
      title="Separation of duties"
      actions={
        <Flex>
          <Choice name="Period" of={PERIODS} value={days} choose={setDays} />
        </Flex>
      }
    >
      <Show loaded={duties}>{found => <Findings of={found} />}</Show>
    </Section>
  );
};

const Findings = ({ of }: { of: Found }) => {
  const [shown, setShown] = useState(FEW);
  const newest = [...of.violations].reverse();
  return (
    <Flex direction="column" gap="3">
      {newest.length === 0 ? (
        <Nothing what="Nobody did alone what takes two, and nobody broke the glass." />
      ) : (
        <Grid
          caption="What one person did alone, and every use of break-glass; newest first"
          head={['When', 'What', 'Who', 'In words']}
          rows={newest
            .slice(0, shown)
            .map(({ at, kind, persons, message }) => [
              <Time key="at" at={at} />,
              words(kind),
              persons.map(shortRef).join(', '),
              message,
            ])}
        />
      )}
      {newest.length > shown && (
        <Button variant="secondary" onPress={() => setShown(shown + FEW)}>
          Show more
        </Button>
      )}
      <Text variant="body-small" color="secondary">
        Looked at:{' '}
        {Object.entries(of.checked)
          .map(
            ([name, count]) =>
              `${name.replace(
                /[A-Z]/g,
                one => ` ${one.toLowerCase()}`,
              )} ${count}`,
          )
          .join(', ')}
        .
      </Text>
    </Flex>
  );
};
