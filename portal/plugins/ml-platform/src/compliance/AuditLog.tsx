import { Flex, Text } from '@backstage/ui';

import { usePages } from '../api/hooks';
import { Publication, Segment } from '../api/types';
import { Details } from '../components/Details';
import { Grid } from '../components/Grid';
import { More } from '../components/More';
import { Nothing, Section, Show } from '../components/Section';
import { State } from '../components/State';
import { Time, utc } from '../components/Time';
import { bytes } from './periods';
import { LogState } from './LogState';

/** The audit log: whether it is whole, where its checkpoints lie, and what of it is sealed. */
export const AuditLog = () => (
  <Section title="The record">
    <Flex direction="column" gap="3">
      <Details
        title="Is the log whole?"
        subtitle="reads all of it, which takes seconds for each million events"
      >
        {() => <LogState />}
      </Details>
      <Details
        title="Published checkpoints"
        subtitle="what keeps anybody here from rewriting the log unnoticed"
      >
        {() => <Publications />}
      </Details>
      <Details
        title="Sealed segments"
        subtitle="old events, in signed files outside of the database"
      >
        {() => <Segments />}
      </Details>
    </Flex>
  </Section>
);

const Publications = () => {
  const publications = usePages<Publication>('/audit/publications?limit=10');
  return (
    <Show loaded={publications}>
      {found =>
        found.length === 0 ? (
          <Nothing
            what="No checkpoint was published yet."
            how="`audit.publication.targets` names a git repository or a bucket with Object Lock that they go to."
          />
        ) : (
          <Flex direction="column" gap="2">
            <Grid
              caption="Checkpoints, newest first"
              head={['When', 'To', 'State', 'Events', 'Where']}
              rows={found.map(one => [
                <Time key="at" at={one.startedAt} />,
                one.target,
                <State key="state" of={one.state} />,
                one.size?.toLocaleString('en') ?? '—',
                one.place ?? one.reason ?? '—',
              ])}
            />
            <More pages={publications} />
          </Flex>
        )
      }
    </Show>
  );
};

const Segments = () => {
  const segments = usePages<Segment>('/audit/segments?limit=10');
  return (
    <Show loaded={segments}>
      {found =>
        found.length === 0 ? (
          <Nothing
            what="Nothing is sealed: all events lie in the database."
            how="`audit.sealing.keep` says after how long they are sealed; `platform audit seal` does it now."
          />
        ) : (
          <Flex direction="column" gap="2">
            <Text variant="body-small" color="secondary">
              `platform-evidence segments` verifies their files offline.
            </Text>
            <Grid
              caption="Sealed segments, newest first"
              head={['Events', 'From', 'To', 'Size', 'Sealed', 'File']}
              rows={found.map(one => [
                `${one.first.toLocaleString('en')} – ${one.last.toLocaleString(
                  'en',
                )}`,
                utc(one.earliest),
                utc(one.latest),
                bytes(one.bytes),
                <Time key="sealed" at={one.sealedAt} />,
                one.removedAt ? (
                  <span key="file">
                    deleted by retention <Time at={one.removedAt} />
                  </span>
                ) : (
                  one.name
                ),
              ])}
            />
            <More pages={segments} />
          </Flex>
        )
      }
    </Show>
  );
};
