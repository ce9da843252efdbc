import { useApi } from '@backstage/frontend-plugin-api';
import {
  ButtonLink,
  Cell,
  CellText,
  ColumnConfig,
  Container,
  Flex,
  Header,
  SearchField,
  Select,
  Table,
  Text,
  useTable,
} from '@backstage/ui';
import { useEffect, useMemo, useRef } from 'react';
import { useSearchParams } from 'react-router-dom';

import { platformApiRef, Problem } from '../api/client';
import { useGet } from '../api/hooks';
import { Facet, Facets, ModelSummary, Page } from '../api/types';
import { Fault } from '../components/Fault';
import { State, words } from '../components/State';
import { Time } from '../components/Time';
import { entityPath, shortRef } from '../model';
import styles from './ModelsPage.module.css';

type Row = ModelSummary & { id: string };

const FILTERS = [
  'owner',
  'system',
  'type',
  'tier',
  'environment',
  'live',
  'behind',
  'compliant',
  'slo',
  'drift',
  'cost_at_least',
] as const;
const SLO_STATES = ['met', 'at_risk', 'breached', 'no_data'].map(id => ({
  id,
  label: words(id),
}));
const DRIFT_OUTCOMES = [
  'drifted',
  'no_reference',
  'not_enough_rows',
  'healthy',
].map(id => ({ id, label: words(id) }));
const COSTS = [10, 100, 1_000, 10_000].map(amount => ({
  id: String(amount),
  label: `${amount.toLocaleString('en')} or more`,
}));
const ANY = 'any';
const PAGE_SIZES = [20, 50, 100];
const REFRESH_MILLISECONDS = 10_000;
const FIRST = 'first';

const COLUMNS: ColumnConfig<Row>[] = [
  {
    id: 'name',
    defaultWidth: '2fr',
    minWidth: 200,
    label: 'Model',
    isRowHeader: true,
    isSortable: true,
    cell: ({ name, description }) => (
      <CellText title={name} description={description} />
    ),
  },
  {
    id: 'owner',
    defaultWidth: '1fr',
    minWidth: 110,
    label: 'Owner',
    isSortable: true,
    cell: ({ owner }) => <CellText title={shortRef(owner)} />,
  },
  {
    id: 'system',
    defaultWidth: '1fr',
    minWidth: 110,
    label: 'System',
    isSortable: true,
    cell: ({ system }) => <CellText title={system ? shortRef(system) : '—'} />,
  },
  {
    id: 'type',
    defaultWidth: 100,
    label: 'Type',
    isSortable: true,
    cell: ({ type }) => <CellText title={type} />,
  },
  {
    id: 'tier',
    defaultWidth: 76,
    label: 'Tier',
    isSortable: true,
    cell: ({ tier }) => <CellText title={String(tier)} />,
  },
  {
    id: 'live',
    defaultWidth: '2fr',
    minWidth: 150,
    label: 'Live',
    cell: row => <Live of={row} />,
  },
  {
    id: 'slo',
    defaultWidth: 150,
    label: 'SLO',
    isSortable: true,
    cell: ({ slo }) => (
      <Cell>
        {slo ? (
          <State
            of={slo.state}
            text={[
              words(slo.state),
              slo.remaining !== null && `${Math.round(100 * slo.remaining)} %`,
            ]
              .filter(Boolean)
              .join(', ')}
          />
        ) : (
          '—'
        )}
      </Cell>
    ),
  },
  {
    id: 'drift',
    defaultWidth: 110,
    label: 'Drift',
    isSortable: true,
    cell: ({ drift }) => <Cell>{drift ? <State of={drift} /> : '—'}</Cell>,
  },
  {
    id: 'cost',
    defaultWidth: 110,
    label: 'Cost',
    isSortable: true,
    cell: ({ monthlyCost }) => (
      <CellText
        title={
          monthlyCost ? `${monthlyCost.amount} ${monthlyCost.currency}` : '—'
        }
      />
    ),
  },
  {
    id: 'compliance',
    defaultWidth: 124,
    label: 'Compliance',
    isSortable: true,
    cell: ({ compliance }) => (
      <Cell>
        {compliance ? (
          <State
            of={compliance.met ? 'met' : 'missing'}
            text={compliance.met ? 'met' : `${compliance.failing} missing`}
          />
        ) : (
          '—'
        )}
      </Cell>
    ),
  },
  {
    id: 'behind',
    defaultWidth: 132,
    label: 'Template',
    isSortable: true,
    cell: row => <CellText title={template(row)} />,
  },
  {
    id: 'updated',
    defaultWidth: 140,
    label: 'Changed',
    isSortable: true,
    cell: ({ updatedAt }) => (
      <Cell>
        <Time at={updatedAt} />
      </Cell>
    ),
  },
];

/** Columns that later parts of the platform fill, and where their values are. */
const RECORDED: Record<string, 'slo' | 'drift' | 'monthlyCost' | 'compliance'> =
  {
    slo: 'slo',
    drift: 'drift',
    cost: 'monthlyCost',
    compliance: 'compliance',
  };

/** All models: searched, filtered, sorted and paged by the platform, so that ten thousand are as fast as ten. */
export const ModelsPage = () => {
  const api = useApi(platformApiRef);
  const facets = useGet<Facets>('/overview/facets', 60);
  const [params, setParams] = useSearchParams();
  const filter = useMemo(
    () =>
      Object.fromEntries(
        FILTERS.map(name => [name, params.get(name) ?? undefined]),
      ),
    [params],
  );
  const before = useRef(new Map<string, string>());
  const { tableProps, search, reload } = useTable<Row, typeof filter>({
    mode: 'cursor',
    initialSort: { column: 'name', direction: 'ascending' },
    initialSearch: params.get('q') ?? '',
    filter,
    paginationOptions: { pageSize: PAGE_SIZES[0], pageSizeOptions: PAGE_SIZES },
    getData: async ({ cursor, pageSize, sort, search: q }) => {
      const query = new URLSearchParams({ limit: String(pageSize) });
      for (const [name, value] of Object.entries({ ...filter, q: q.trim() })) {
        if (value) {
          query.set(name, value);
        }
      }
      if (sort) {
        query.set(
          'sort',
          `${sort.direction === 'descending' ? '-' : ''}${String(sort.column)}`,
        );
      }
      if (cursor && cursor !== FIRST) {
        query.set('cursor', cursor);
      }
      const page = await api.get<Page<ModelSummary>>(
        `/overview/models?${query}`,
      );
      if (page.nextCursor) {
        before.current.set(page.nextCursor, cursor ?? FIRST);
      }
      return {
        data: page.items.map(one => ({ ...one, id: one.name })),
        nextCursor: page.nextCursor ?? undefined,
        prevCursor:
          cursor && cursor !== FIRST ? before.current.get(cursor) : undefined,
        totalCount: page.total,
      };
    },
  });
  useEffect(() => {
    const timer = setInterval(reload, REFRESH_MILLISECONDS);
    return () => clearInterval(timer);
  }, [reload]);
  const choose = (name: string, value: string) =>
    setParams(
      now => {
        const next = new URLSearchParams(now);
        if (value === ANY) {
          next.delete(name);
        } else {
          next.set(name, value);
        }
        return next;
      },
      { replace: true },
    );
  const { error, ...table } = tableProps;
  // What nothing is recorded about yet would only push the rest out of sight.
  const columns = COLUMNS.map(column => ({
    ...column,
    isHidden:
      column.id in RECORDED &&
      !table.data?.some(row => row[RECORDED[column.id]] !== null),
  }));
  const filtered = FILTERS.some(name => filter[name]) || search.value !== '';
  return (
    <>
      <Header
        title="Models"
        customActions={
          <ButtonLink
            href="/create?filters%5Btype%5D=ml-model"
            variant="primary"
          >
            Create a model
          </ButtonLink>
        }
      />
      <Container>
        <Flex direction="column" gap="4" pb="6">
          <div className={styles.filters}>
            <SearchField
              aria-label="Search models"
              placeholder="Name or description"
              value={search.value}
              onChange={search.onChange}
              className={styles.search}
            />
            {choices(facets.data).map(([id, name, options]) => (
              <Select
                key={id}
                label={name}
                size="small"
                options={[{ id: ANY, label: 'Any' }, ...options]}
                value={filter[id] ?? ANY}
                onChange={chosen => choose(id, String(chosen))}
              />
            ))}
          </div>
          {error && (
            <Fault
              error={
                error instanceof Problem ? error : new Problem(0, error.message)
              }
              retry={reload}
            />
          )}
          <div style={{ overflowX: 'auto' }}>
            <div style={{ minWidth: 1120 }}>
              <Table
                aria-label="Models"
                columnConfig={columns}
                {...table}
                rowConfig={{
                  getHref: ({ entityRef }) =>
                    entityRef ? entityPath(entityRef) : undefined,
                }}
                emptyState={
                  <Text>
                    {filtered
                      ? 'No model is like that. Take a filter away.'
                      : 'No model is registered yet. Create one, and run `platform run` in its repository.'}
                  </Text>
                }
              />
            </div>
          </div>
        </Flex>
      </Container>
    </>
  );
};

const Live = ({ of }: { of: ModelSummary }) => (
  <Cell>
    <Flex direction="column" gap="0.5">
      {of.places.length === 0 && <span>—</span>}
      {of.places.map(({ environment, champion, challenger, phase }) => (
        <span key={environment}>
          {environment} {champion === null ? '—' : `v${champion}`}
          {phase && challenger !== null && (
            <>
              {' '}
              <State of={phase} text={`v${challenger} ${words(phase)}`} />
            </>
          )}
        </span>
      ))}
    </Flex>
  </Cell>
);

function template({ template: of }: ModelSummary): string {
  if (!of) {
    return '—';
  }
  return of.behind ? `${of.version}, ${of.behind} behind` : of.version ?? '—';
}

const YES_OR_NO = [
  { id: 'true', label: 'Yes' },
  { id: 'false', label: 'No' },
];

function counted(facets: Facet[] = [], show = (value: string) => value) {
  return facets.map(({ value, count }) => ({
    id: String(value),
    label: `${show(String(value))} (${count})`,
  }));
}

/** Returns what can be filtered by: the query's name, that for people, and the values. */
function choices(
  facets?: Facets,
): [(typeof FILTERS)[number], string, { id: string; label: string }[]][] {
  return [
    ['owner', 'Owner', counted(facets?.owners, shortRef)],
    ['system', 'System', counted(facets?.systems, shortRef)],
    ['type', 'Type', counted(facets?.types)],
    ['tier', 'Tier', counted(facets?.tiers)],
    ['environment', 'Environment', counted(facets?.environments)],
    ['live', 'Live', YES_OR_NO],
    ['behind', 'Template behind', YES_OR_NO],
    ['compliant', 'Controls met', YES_OR_NO],
    ['slo', 'Objectives', SLO_STATES],
    ['drift', 'Drift', DRIFT_OUTCOMES],
    ['cost_at_least', 'Cost this month', COSTS],
  ];
}
