import { useGet } from '../api/hooks';
import { Quota } from '../api/types';
import { Grid } from '../components/Grid';
import { Section, Show } from '../components/Section';
import { words } from '../components/State';

/** What the owner group may take up; nothing where no quota holds. */
export const Quotas = ({ team }: { team: string }) => {
  const quotas = useGet<Quota[]>(`/quotas?team=${encodeURIComponent(team)}`);
  if (!quotas.error && !quotas.data?.length) {
    return null;
  }
  return (
    <Section title="What the team may take up">
      <Show loaded={quotas}>
        {of => (
          <Grid
            caption={`Quotas of ${team}`}
            head={['Environment', 'Resource', 'In use', 'May be', 'Changed by']}
            rows={of.map(one => [
              one.environment,
              one.unit === one.resource
                ? words(one.resource)
                : `${words(one.resource)}, ${one.unit}`,
              String(Number(one.used)),
              String(Number(one.limit)),
              one.changedBy.join(', '),
            ])}
          />
        )}
      </Show>
    </Section>
  );
};
