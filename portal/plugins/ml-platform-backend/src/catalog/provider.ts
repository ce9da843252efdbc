import {
  LoggerService,
  SchedulerServiceTaskRunner,
} from '@backstage/backend-plugin-api';
import {
  ANNOTATION_LOCATION,
  ANNOTATION_ORIGIN_LOCATION,
  Entity,
} from '@backstage/catalog-model';
import {
  DeferredEntity,
  EntityProvider,
  EntityProviderConnection,
} from '@backstage/plugin-catalog-node';

import { PlatformClient } from '../client';
import { Cursor } from './cursor';

const PAGE = 500;
const LOCATION_KEY = 'ml-platform';
const ANNOTATION_VIEW_URL = 'backstage.io/view-url';
/** Place of the entity's repository on a git host: `<host>/<org>/<name>`. */
const ANNOTATION_REPOSITORY = 'ml-platform/repository';

/** Where the platform read an entity. */
interface Source {
  host: string;
  org: string;
  repository: string;
  path: string;
  url: string | null;
}

interface Change {
  ref: string;
  change: 'upsert' | 'delete';
  entity: Entity | null;
  source: Source | null;
}

interface Changes {
  items: Change[];
  cursor: number;
  more: boolean;
}

/**
 * Follows the platform's changes: from its cursor on, page by page, what is new or changed is put into the catalog and what is
 * gone is taken out. Nothing is read twice but what a crash between a page and its cursor makes it read again.
 */
export class PlatformEntityProvider implements EntityProvider {
  private connection?: EntityProviderConnection;
  private reachable = true;

  constructor(
    private readonly client: PlatformClient,
    private readonly cursor: Cursor,
    private readonly runner: SchedulerServiceTaskRunner,
    private readonly logger: LoggerService,
  ) {}

  getProviderName(): string {
    return 'ml-platform';
  }

  async connect(connection: EntityProviderConnection): Promise<void> {
    this.connection = connection;
    await this.runner.run({
      id: 'ml-platform-entities',
      fn: signal => this.follow(signal),
    });
  }

  /** Takes over all changes that there are by now. */
  async follow(signal?: AbortSignal): Promise<void> {
    let after = await this.cursor.get();
    let more = true;
    while (more && !signal?.aborted) {
      let page: Changes;
      try {
        page = await this.client.json<Changes>(
          `/catalog/changes?after=${after}&limit=${PAGE}`,
          undefined,
          { signal },
        );
      } catch (error) {
        this.told(false, String(error));
        return;
      }
      this.told(true);
      if (page.items.length > 0) {
        await this.take(page.items);
        after = page.cursor;
        await this.cursor.set(after);
      }
      more = page.more;
    }
  }

  private async take(items: Change[]): Promise<void> {
    if (!this.connection) {
      throw new Error('the provider is not connected to a catalog yet');
    }
    const added: DeferredEntity[] = [];
    const removed: { entityRef: string; locationKey: string }[] = [];
    for (const { ref, change, entity, source } of items) {
      if (change === 'delete' || entity === null) {
        removed.push({ entityRef: ref, locationKey: LOCATION_KEY });
      } else {
        added.push({
          entity: located(entity, source),
          locationKey: LOCATION_KEY,
        });
      }
    }
    await this.connection.applyMutation({ type: 'delta', added, removed });
    this.logger.info(
      `took over ${added.length} changed and ${removed.length} removed entities of the ML platform`,
    );
  }

  private told(reachable: boolean, reason?: string): void {
    if (this.reachable !== reachable) {
      this.logger.warn(
        reachable
          ? 'the ML platform answers again'
          : `entities of the ML platform can't be read, and are asked for again: ${reason}`,
      );
    }
    this.reachable = reachable;
  }
}

/** Returns the entity with annotations that say where it comes from, as the catalog demands of every entity. */
export function located(entity: Entity, source: Source | null): Entity {
  const location = source?.url
    ? `url:${source.url}`
    : `url:ml-platform/${source?.path ?? 'own'}`;
  return {
    ...entity,
    metadata: {
      ...entity.metadata,
      annotations: {
        ...entity.metadata.annotations,
        [ANNOTATION_LOCATION]: location,
        [ANNOTATION_ORIGIN_LOCATION]: location,
        ...(source?.url ? { [ANNOTATION_VIEW_URL]: source.url } : {}),
        ...(source?.repository
          ? {
              [ANNOTATION_REPOSITORY]: `${source.host}/${source.org}/${source.repository}`,
            }
          : {}),
      },
    },
  };
}
