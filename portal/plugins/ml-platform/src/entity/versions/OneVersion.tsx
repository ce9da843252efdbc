import { MarkdownContent } from '@backstage/core-components';
import { Flex, Link, Text } from '@backstage/ui';

import { useGet, usePages } from '../../api/hooks';
import { Attestation, Version } from '../../api/types';
import { Details } from '../../components/Details';
import { Facts } from '../../components/Facts';
import { Grid } from '../../components/Grid';
import { Nothing, Show } from '../../components/Section';
import { State, words } from '../../components/State';
import { utc } from '../../components/Time';

/** A version: where it comes from, what it measures, and what its gates checked. */
export const OneVersion = ({ of }: { of: Version }) => (
  <Flex direction="column" gap="5">
    <Lineage of={of} />
    <Gates digest={of.digest} />
    <Grid
      caption="Metrics"
      head={['Metric', 'Value']}
      rows={Object.entries(of.metrics)
        .sort(([one], [other]) => one.localeCompare(other))
        .map(([name, value]) => [name, value.toPrecision(6)])}
    />
    <Flex direction="column" gap="2">
      <Details
        title="Model card"
        subtitle="What it is, what it was made from and how it was judged, from what is on record."
      >
        {() => <Written document="model-card" of={of} />}
      </Details>
      <Details
        title="Technical file"
        subtitle="In the order of Annex IV of the EU AI Act; what is still to be added is marked."
      >
        {() => <Written document="technical-file" of={of} />}
      </Details>
    </Flex>
  </Flex>
);

const Written = ({ document, of }: { document: string; of: Version }) => {
  const found = useGet<{ markdown: string }>(
    `/compliance/models/${of.model}/versions/${of.version}/documents/${document}`,
  );
  return (
    <Show loaded={found}>
      {({ markdown }) => <MarkdownContent content={markdown} />}
    </Show>
  );
};

const Lineage = ({
  of: { lineage, digest, createdBy, mlflowUrl },
}: {
  of: Version;
}) => (
  <Facts
    of={[
      [
        'Commit',
        <code key="commit">
          {lineage.commit}
          {lineage.dirty ? ' and uncommitted changes' : ''}
        </code>,
      ],
      ['Repository', lineage.repository],
      [
        'Registered by',
        lineage.onBehalfOf
          ? `${createdBy} for ${lineage.onBehalfOf}`
          : createdBy,
      ],
      [
        'CI job',
        lineage.ciRun ? (
          <Link key="ci" href={lineage.ciRun}>
            {lineage.ciRun}
          </Link>
        ) : null,
      ],
      [
        'Training run',
        mlflowUrl ? (
          <Link key="run" href={mlflowUrl}>
            {lineage.runId}
          </Link>
        ) : (
          lineage.runId
        ),
      ],
      ['Data', <Data key="data" of={lineage.data} />],
      ['Python', lineage.python],
      ['Artefact (SHA-256)', <code key="digest">{digest}</code>],
    ]}
  />
);

const Data = ({ of }: { of: Version['lineage']['data'] }) => (
  <Flex direction="column" gap="1">
    {of.map(({ name, uri, rows }) => (
      <span key={`${name}${uri}`}>
        {name ?? uri}
        {rows !== null &&
          rows !== undefined &&
          `, ${rows.toLocaleString('en')} rows`}
      </span>
    ))}
  </Flex>
);

const Gates = ({ digest }: { digest: string }) => {
  const attestations = usePages<Attestation>(
    `/attestations?digest=${digest}&limit=100`,
  );
  return (
    <Flex direction="column" gap="2">
      <Text as="h3" weight="bold">
        Gates and attestations
      </Text>
      <Show loaded={attestations}>
        {found =>
          found.length === 0 ? (
            <Nothing what="There are no attestations about this artefact." />
          ) : (
            <Flex direction="column" gap="2">
              {found.map(one => (
                <Details
                  key={one.id}
                  title={`${words(one.gate)}: ${words(one.outcome)}`}
                  subtitle={one.summary}
                >
                  {() => <Signed of={one} />}
                </Details>
              ))}
            </Flex>
          )
        }
      </Show>
    </Flex>
  );
};

const Signed = ({ of }: { of: Attestation }) => (
  <Flex direction="column" gap="3">
    <Facts
      of={[
        ['Outcome', <State key="outcome" of={of.outcome} />],
        ['Signed by', of.principal],
        ['Received', utc(of.receivedAt)],
        [
          'Counts',
          of.verified ? 'yes: its signature verifies' : `no: ${of.reason}`,
        ],
      ]}
    />
    <Text as="h4" weight="bold">
      What was checked
    </Text>
    <pre tabIndex={0} style={{ overflow: 'auto', maxHeight: 360, margin: 0 }}>
      {checked(of)}
    </pre>
  </Flex>
);

/** Returns the predicate of the in-toto Statement in the DSSE envelope, for reading. */
function checked({ envelope }: Attestation): string {
  try {
    const bytes = Uint8Array.from(atob(envelope.payload), character =>
      character.charCodeAt(0),
    );
    const statement = JSON.parse(new TextDecoder().decode(bytes));
    return JSON.stringify(statement.predicate, null, 2);
  } catch {
    return 'The attestation can not be read.';
  }
}
