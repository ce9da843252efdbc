import { Flex, Text } from '@backstage/ui';

import { Check, Control } from '../api/types';
import { Details } from '../components/Details';
import { Grid } from '../components/Grid';
import { State, words } from '../components/State';
import { Time } from '../components/Time';
import { shortRef } from '../model';

/** Controls, each with what its checks came to; those that fail first. */
export const Controls = ({ of }: { of: Control[] }) => (
  <Flex direction="column" gap="2">
    {[...of].sort(failingFirst).map(control => (
      <Details
        key={control.id}
        title={`${control.id} ${control.title}: ${words(control.state)}`}
        subtitle={
          control.checks.find(({ state }) => state === 'failing')?.summary ??
          control.outside ??
          control.description
        }
      >
        {() => <One of={control} />}
      </Details>
    ))}
  </Flex>
);

const One = ({ of }: { of: Control }) => (
  <Flex direction="column" gap="3">
    <Text>{of.description || of.outside}</Text>
    <Text variant="body-small" color="secondary">
      {of.category}, owned by {shortRef(of.owner)}
    </Text>
    {of.checks.length > 0 && (
      <Grid
        caption="What was checked"
        head={['Check', 'State', 'Found', 'When']}
        rows={of.checks.map(check => [
          check.title,
          <State key="state" of={check.state} />,
          check.summary,
          check.evaluatedAt ? (
            <Time key="at" at={check.evaluatedAt} />
          ) : (
            'not yet'
          ),
        ])}
      />
    )}
    <Deviations of={of.checks} />
  </Flex>
);

const Deviations = ({ of }: { of: Check[] }) => {
  const found = of.flatMap(({ exceptions }) => exceptions);
  return found.length === 0 ? null : (
    <Grid
      caption="What is not as it should be"
      head={['About', 'What', 'Evidence']}
      rows={found.map(({ subject, message, evidence }) => [
        subject,
        message,
        evidence ? <code key="evidence">{evidence}</code> : '—',
      ])}
    />
  );
};

const ORDER = ['failing', 'not_evaluated', 'passing', 'outside'];

function failingFirst(one: Control, other: Control): number {
  return ORDER.indexOf(one.state) - ORDER.indexOf(other.state);
}
