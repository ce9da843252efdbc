import { MarkdownContent } from '@backstage/core-components';
import { useApi } from '@backstage/frontend-plugin-api';
import { useEntity } from '@backstage/plugin-catalog-react';
import { Button, Flex, Link, Text } from '@backstage/ui';
import { useState } from 'react';

import { platformApiRef } from '../api/client';
import { useGet } from '../api/hooks';
import { FleetRepository, TemplateChange } from '../api/types';
import { Confirm } from '../components/Confirm';
import { Facts } from '../components/Facts';
import { Grid } from '../components/Grid';
import { Nothing, Section, Show } from '../components/Section';
import { Time } from '../components/Time';
import { placeOf } from '../model';

/** Which version of its template a repository has, what an update would change, and the request for it. */
export const TemplateTab = () => {
  const { entity } = useEntity();
  const place = placeOf(entity);
  const repository = useGet<FleetRepository>(
    place && `/fleet/repositories/${place.host}/${place.org}/${place.name}`,
    5,
  );
  if (!place) {
    return (
      <Nothing what="The platform does not know the repository of this component." />
    );
  }
  return (
    <Show loaded={repository}>
      {found => (
        <Flex direction="column" gap="4">
          <Section
            title="Template"
            actions={<Update of={found} done={repository.reload} />}
          >
            <State of={found} />
          </Section>
          {found.template && found.version && Boolean(found.behind) && (
            <Section title="What an update changes">
              <Changes template={found.template} from={found.version} />
            </Section>
          )}
        </Flex>
      )}
    </Show>
  );
};

const State = ({ of }: { of: FleetRepository }) => {
  if (!of.template) {
    return (
      <Nothing
        what="This repository comes from no template."
        how="`platform adopt` puts it on the golden path."
      />
    );
  }
  return (
    <Flex direction="column" gap="4">
      <Facts
        of={[
          ['Template', of.template],
          ['Version', of.version],
          ['Newest', of.newest],
          ['Behind by', of.behind === null ? 'not known' : versions(of.behind)],
          [
            'Last update',
            of.templateChangedAt ? (
              <Time key="at" at={of.templateChangedAt} />
            ) : (
              'never'
            ),
          ],
          ['Looked at', <Time key="seen" at={of.seenAt} />],
          [
            'Open request',
            of.number === null ? (
              'none'
            ) : (
              <Request key="request" number={of.number} url={of.requestUrl} />
            ),
          ],
        ]}
      />
      {of.fault && <Text color="danger">{of.fault}</Text>}
      {of.drift !== null && of.drift.length > 0 && (
        <Grid
          caption="Files that the template owns and this repository has otherwise"
          head={['File']}
          rows={of.drift.map(({ path }) => [<code key="path">{path}</code>])}
        />
      )}
    </Flex>
  );
};

const Request = ({ number, url }: { number: number; url: string | null }) =>
  url?.startsWith('http') ? <Link href={url}>#{number}</Link> : <>#{number}</>;

function versions(count: number): string {
  return count === 0
    ? 'nothing: it is current'
    : `${count} version${count === 1 ? '' : 's'}`;
}

const Update = ({ of, done }: { of: FleetRepository; done: () => void }) => {
  const api = useApi(platformApiRef);
  const [open, setOpen] = useState(false);
  const [key, setKey] = useState('');
  if (!of.template || !of.newest || !of.behind) {
    return null;
  }
  return (
    <>
      <Button
        size="small"
        isDisabled={of.number !== null}
        onPress={() => {
          setKey(crypto.randomUUID());
          setOpen(true);
        }}
      >
        {of.number === null
          ? 'Open the update request…'
          : 'The request is open'}
      </Button>
      {open && (
        <Confirm
          title={`Update ${of.name} to ${of.newest}?`}
          verb="Open the request"
          act={() =>
            api.post(
              '/fleet/campaigns',
              {
                template: of.template,
                version: of.newest,
                repository: { host: of.host, org: of.org, name: of.name },
              },
              key,
            )
          }
          close={() => {
            setOpen(false);
            done();
          }}
        >
          The platform merges what the template changed from {of.version} to{' '}
          {of.newest} with your own changes, runs the repository's checks and
          opens a pull request. Nothing is merged without you; where both
          changed the same lines, the request is a draft that shows both sides.
        </Confirm>
      )}
    </>
  );
};

const Changes = ({ template, from }: { template: string; from: string }) => {
  const changes = useGet<TemplateChange[]>(
    `/templates/${template}/changelog?from=${encodeURIComponent(from)}`,
  );
  return (
    <Show loaded={changes}>
      {found => (
        <Flex direction="column" gap="4">
          {found.map(({ version, date, text }) => (
            <Flex key={version} direction="column" gap="1">
              <Text as="h3" weight="bold">
                {version}
                {date && `, ${date}`}
              </Text>
              <MarkdownContent content={text} />
            </Flex>
          ))}
        </Flex>
      )}
    </Show>
  );
};
