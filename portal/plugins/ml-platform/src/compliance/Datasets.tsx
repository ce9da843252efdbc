import { useApi } from '@backstage/frontend-plugin-api';
import { Button, Flex, Text } from '@backstage/ui';
import { useState } from 'react';

import { platformApiRef } from '../api/client';
import { useGet, usePages } from '../api/hooks';
import { Dataset, DatasetDetail } from '../api/types';
import { Confirm } from '../components/Confirm';
import { Details } from '../components/Details';
import { Grid } from '../components/Grid';
import { More } from '../components/More';
import { Nothing, Show } from '../components/Section';
import { sentences, words } from '../components/State';
import { shortRef } from '../model';

/** Data sets with how sensitive they are; a person of the owner group confirms what a scan proposes. */
export const Datasets = () => {
  const datasets = usePages<Dataset>('/datasets?limit=20', 30);
  return (
    <Show loaded={datasets}>
      {found =>
        found.length === 0 ? (
          <Nothing
            what="No data set is known yet."
            how="The first version that is registered makes its data sets known; `platform data classify --submit` says what is in their columns."
          />
        ) : (
          <Flex direction="column" gap="2">
            {found.map(one => (
              <Details
                key={one.id}
                title={`${one.name}: ${
                  one.classification
                    ? words(one.classification)
                    : 'not classified'
                }`}
                subtitle={`owned by ${shortRef(one.owner)}`}
              >
                {() => <One id={one.id} />}
              </Details>
            ))}
            <More pages={datasets} />
          </Flex>
        )
      }
    </Show>
  );
};

const One = ({ id }: { id: string }) => {
  const dataset = useGet<DatasetDetail>(`/datasets/${id}`, 10);
  return (
    <Show loaded={dataset}>
      {found => (
        <Flex direction="column" gap="3">
          {found.columns.length === 0 ? (
            <Nothing
              what="Nothing is recorded about its columns."
              how="`platform data classify --submit`, in the repository of a model that uses it, has them looked at."
            />
          ) : (
            <Grid
              caption="Columns"
              head={['Column', 'Type', 'Class', 'Decided', 'Waits', 'Because']}
              rows={found.columns.map(one => [
                one.name,
                one.type,
                words(one.classification),
                `${one.basis} by ${one.decidedBy}`,
                one.proposed ? words(one.proposed) : '—',
                one.reason ?? '—',
              ])}
            />
          )}
          <Waiting of={found} done={dataset.reload} />
        </Flex>
      )}
    </Show>
  );
};

const Waiting = ({ of, done }: { of: DatasetDetail; done: () => void }) => {
  const api = useApi(platformApiRef);
  const [key, setKey] = useState<string>();
  const waiting = of.columns.filter(({ proposed }) => proposed !== null);
  const confirm = of.actions.find(({ action }) => action === 'confirm');
  if (waiting.length === 0) {
    return null;
  }
  return (
    <>
      <Flex>
        <Button
          size="small"
          isDisabled={!confirm?.allowed}
          onPress={() => setKey(crypto.randomUUID())}
        >
          Confirm as proposed…
        </Button>
      </Flex>
      {confirm && !confirm.allowed && (
        <Text variant="body-small" color="secondary">
          {sentences(confirm.reason, confirm.fix)}
        </Text>
      )}
      {key && (
        <Confirm
          title={`Confirm ${waiting.length} column${
            waiting.length === 1 ? '' : 's'
          } of ${of.name}?`}
          verb="Confirm"
          reason="optional"
          act={reason =>
            api.post(
              `/datasets/${of.id}/confirmation`,
              {
                columns: Object.fromEntries(
                  waiting.map(({ name, proposed }) => [name, proposed]),
                ),
                reason: reason || null,
              },
              key,
            )
          }
          close={() => {
            setKey(undefined);
            done();
          }}
        >
          You say that you have looked at these columns and that they are as the
          scan proposes. Versions whose model.yaml says less are refused from
          now on.
        </Confirm>
      )}
    </>
  );
};
