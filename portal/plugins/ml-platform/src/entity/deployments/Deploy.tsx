import { useApi } from '@backstage/frontend-plugin-api';
import { Flex, Select, Text } from '@backstage/ui';
import { useState } from 'react';

import { platformApiRef } from '../../api/client';
import { usePages } from '../../api/hooks';
import { Version } from '../../api/types';
import { Confirm } from '../../components/Confirm';
import { Fault } from '../../components/Fault';

interface Props {
  model: string;
  environments: string[];
  close: () => void;
}

/** Asks which version is to be deployed where. */
export const Deploy = ({ model, environments, close }: Props) => {
  const api = useApi(platformApiRef);
  const versions = usePages<Version>(
    `/registry/models/${model}/versions?limit=50`,
  );
  const [key] = useState(() => crypto.randomUUID());
  const [version, setVersion] = useState<string>();
  const [environment, setEnvironment] = useState(environments[0]);
  const chosen = version ?? versions.data?.[0]?.version.toString();
  return (
    <Confirm
      title={`Deploy ${model}`}
      verb="Deploy"
      otherwise="Cancel"
      ready={Boolean(chosen)}
      act={() =>
        api.post(
          '/deployments',
          { model, version: Number(chosen), environment },
          `${key}-${chosen}-${environment}`,
        )
      }
      close={close}
    >
      <Flex direction="column" gap="3">
        {versions.error && <Fault error={versions.error} />}
        <Select
          label="Version"
          options={(versions.data ?? []).map(one => ({
            id: String(one.version),
            label: `v${one.version}${
              one.aliases.length ? ` (${one.aliases.join(', ')})` : ''
            }`,
          }))}
          value={chosen ?? null}
          onChange={value => setVersion(String(value))}
        />
        <Select
          label="Environment"
          options={environments.map(id => ({ id, label: id }))}
          value={environment}
          onChange={value => setEnvironment(String(value))}
        />
        <Text color="secondary">
          The platform decides by the policy of {environment} and the version's
          attestations. If it is admitted, and approved where that is asked for,
          traffic is shifted step by step; if it does worse than the live
          version, it is rolled back.
        </Text>
      </Flex>
    </Confirm>
  );
};
