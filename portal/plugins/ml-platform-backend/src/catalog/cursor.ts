import { DatabaseService } from '@backstage/backend-plugin-api';

const TABLE = 'ml_platform_feed';
const FEED = 'catalog';

/** Where a follower of the platform's changes stands. */
export interface Cursor {
  get(): Promise<number>;
  set(value: number): Promise<void>;
}

/**
 * Keeps the cursor in the catalog's own database, so that it is lost only together with the entities it stands for.
 */
export class DatabaseCursor implements Cursor {
  private constructor(
    private readonly client: Awaited<ReturnType<DatabaseService['getClient']>>,
  ) {}

  static async create(database: DatabaseService): Promise<DatabaseCursor> {
    const client = await database.getClient();
    if (!(await client.schema.hasTable(TABLE))) {
      await client.schema.createTable(TABLE, table => {
        table.string('feed').primary();
        table.bigInteger('cursor').notNullable();
      });
    }
    return new DatabaseCursor(client);
  }

  async get(): Promise<number> {
    const row = await this.client(TABLE).where({ feed: FEED }).first('cursor');
    return Number(row?.cursor ?? 0);
  }

  async set(value: number): Promise<void> {
    await this.client(TABLE)
      .insert({ feed: FEED, cursor: value })
      .onConflict('feed')
      .merge();
  }
}
