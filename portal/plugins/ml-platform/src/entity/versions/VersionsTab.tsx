import { Flex, Select } from '@backstage/ui';
import { useMemo, useState } from 'react';

import { usePages } from '../../api/hooks';
import { Version } from '../../api/types';
import { Grid } from '../../components/Grid';
import { COLOURS, Lines } from '../../components/Lines';
import { More } from '../../components/More';
import { Nothing, Section, Show } from '../../components/Section';
import { Time } from '../../components/Time';
import { useModelName } from '../useModelName';
import { OneVersion } from './OneVersion';

/** Versions of a model: their metrics side by side, and what each was made from and checked for. */
export const VersionsTab = () => {
  const model = useModelName();
  const versions = usePages<Version>(
    `/registry/models/${model}/versions?limit=50`,
    15,
  );
  const [chosen, setChosen] = useState<string>();
  return (
    <Show loaded={versions}>
      {found => {
        if (found.length === 0) {
          return (
            <Nothing
              what="No version is registered yet."
              how="`platform run` trains, checks and registers one."
            />
          );
        }
        const shown =
          found.find(one => String(one.version) === chosen) ?? found[0];
        return (
          <Flex direction="column" gap="4">
            <Section title="Metrics across versions">
              <Metrics of={found} />
            </Section>
            <Section title="Versions">
              <Flex direction="column" gap="2">
                <Grid
                  caption={`${found.length} versions, newest first`}
                  head={['Version', 'Aliases', 'Registered', 'By', 'Commit']}
                  rows={found.map(one => [
                    `v${one.version}`,
                    one.aliases.join(', ') || '—',
                    <Time key="at" at={one.createdAt} />,
                    one.createdBy,
                    <code key="commit">{one.lineage.commit.slice(0, 10)}</code>,
                  ])}
                />
                <More pages={versions} />
              </Flex>
            </Section>
            <Section
              title={`Version ${shown.version}`}
              actions={
                <Select
                  aria-label="Version to show"
                  size="small"
                  options={found.map(({ version }) => ({
                    id: String(version),
                    label: `v${version}`,
                  }))}
                  value={String(shown.version)}
                  onChange={value => setChosen(String(value))}
                />
              }
            >
              <OneVersion of={shown} />
            </Section>
          </Flex>
        );
      }}
    </Show>
  );
};

/** Metrics of slices are read in the version's own table; the graph shows those of the whole. */
function overall(names: string[]): string[] {
  const whole = names.filter(name => !/[/@]/.test(name));
  return whole.length > 0 ? whole : names;
}

const Metrics = ({ of }: { of: Version[] }) => {
  const names = useMemo(
    () =>
      overall(
        [...new Set(of.flatMap(({ metrics }) => Object.keys(metrics)))].sort(),
      ),
    [of],
  );
  const [chosen, setChosen] = useState<string>();
  const metric = chosen && names.includes(chosen) ? chosen : names[0];
  if (!metric) {
    return <Nothing what="The versions have no metrics." />;
  }
  const data = [...of].reverse().map(({ version, metrics }) => ({
    version: `v${version}`,
    value: metrics[metric] ?? null,
  }));
  return (
    <Flex direction="column" gap="3">
      <Select
        label="Metric"
        options={names.map(id => ({ id, label: id }))}
        value={metric}
        onChange={value => setChosen(String(value))}
      />
      <Lines
        title={metric}
        summary={`${metric} by version: ${data
          .map(({ version, value }) => `${version} ${value ?? 'none'}`)
          .join(', ')}`}
        data={data}
        x="version"
        series={[{ key: 'value', name: metric, colour: COLOURS[0] }]}
        format={value => value.toPrecision(4)}
      />
    </Flex>
  );
};
