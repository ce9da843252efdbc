import { Flex, Text } from '@backstage/ui';

import { useGet, usePages } from '../api/hooks';
import { Certificate as Signed, WholeCertificate } from '../api/types';
import { Details } from '../components/Details';
import { More } from '../components/More';
import { Save } from '../components/Save';
import { Nothing, Show } from '../components/Section';
import { State, words } from '../components/State';
import { ago, utc } from '../components/Time';

/** A signed statement of what was deleted, and the file that an auditor verifies. */
export const Certificate = ({ id }: { id: string }) => {
  const certificate = useGet<WholeCertificate>(`/privacy/certificates/${id}`);
  return (
    <Show loaded={certificate}>
      {found => (
        <Flex direction="column" gap="2" style={{ overflowWrap: 'anywhere' }}>
          <Text>
            <State
              of={found.valid ? 'passed' : 'failed'}
              text={
                found.valid
                  ? 'Certificate is valid'
                  : 'Certificate is not valid'
              }
            />
            , signed {utc(found.createdAt)}: {counted(found)}
          </Text>
          <Save<WholeCertificate>
            path={`/privacy/certificates/${id}`}
            name={`certificate-${id}.json`}
            verb="Save the certificate"
            part={({ envelope }) => envelope}
          />
        </Flex>
      )}
    </Show>
  );
};

/** Certificates of retention runs and erasures. */
export const Certificates = () => {
  const certificates = usePages<Signed>('/privacy/certificates?limit=10', 5);
  return (
    <Show loaded={certificates}>
      {found =>
        found.length === 0 ? (
          <Nothing
            what="Nothing was deleted yet."
            how="Each erasure and each retention run leaves a signed certificate."
          />
        ) : (
          <Flex direction="column" gap="2">
            {found.map(one => (
              <Details
                key={one.id}
                title={`${ABOUT[one.about.split(':')[0]] ?? one.about}, ${ago(
                  one.createdAt,
                )}${one.valid ? '' : ': not valid'}`}
                subtitle={counted(one)}
              >
                {() => <Certificate id={one.id} />}
              </Details>
            ))}
            <More pages={certificates} />
          </Flex>
        )
      }
    </Show>
  );
};

const ABOUT: Record<string, string> = {
  'retention-run': 'Retention run',
  'subject-request': 'Erasure of a person',
};

function counted({ counts }: Signed): string {
  return (
    Object.entries(counts)
      .map(([state, count]) => `${count} ${words(state)}`)
      .join(', ') || 'nothing'
  );
}
