import { Readable } from 'node:stream';
import { ReadableStream } from 'node:stream/web';

import {
  ReadTreeResponseFactory,
  ReadUrlResponseFactory,
} from '@backstage/backend-defaults/urlReader';
import {
  UrlReaderService,
  UrlReaderServiceReadTreeOptions,
  UrlReaderServiceReadTreeResponse,
  UrlReaderServiceReadUrlOptions,
  UrlReaderServiceReadUrlResponse,
  UrlReaderServiceSearchResponse,
} from '@backstage/backend-plugin-api';
import { NotFoundError, NotModifiedError } from '@backstage/errors';

import { PlatformClient, PlatformError } from '../client';

/** `<base>/git/<host>/<org>/<name>/files/<path>` */
const FILE = /^(?<repository>\/git\/[^/]+\/[^/]+\/[^/]+)\/files\/(?<path>.*)$/;

/** Reads files and folders of repositories on the platform's embedded git host. */
export class PlatformUrlReader implements UrlReaderService {
  constructor(
    private readonly client: PlatformClient,
    private readonly base: string,
    private readonly trees: ReadTreeResponseFactory,
  ) {}

  async readUrl(
    url: string,
    options: UrlReaderServiceReadUrlOptions = {},
  ): Promise<UrlReaderServiceReadUrlResponse> {
    const { repository, path } = this.parsed(url);
    const answer = await this.ask(
      `${repository}/files/${path}`,
      options.etag,
      options.signal as AbortSignal | undefined,
    );
    return ReadUrlResponseFactory.fromReadable(stream(answer), {
      etag: answer.headers.get('etag') ?? undefined,
    });
  }

  async readTree(
    url: string,
    options: UrlReaderServiceReadTreeOptions = {},
  ): Promise<UrlReaderServiceReadTreeResponse> {
    const { repository, path } = this.parsed(url);
    const answer = await this.ask(
      `${repository}/archive`,
      options.etag,
      options.signal as AbortSignal | undefined,
    );
    return this.trees.fromTarArchive({
      response: answer,
      subpath: path.replace(/\/+$/, ''),
      etag: answer.headers.get('etag') ?? '',
      filter: options.filter,
    });
  }

  async search(): Promise<UrlReaderServiceSearchResponse> {
    throw new Error('repositories on the ML platform are not searched by URL');
  }

  toString(): string {
    return `mlPlatform{${this.base}}`;
  }

  private parsed(url: string): { repository: string; path: string } {
    const match = FILE.exec(url.slice(this.base.length));
    if (!url.startsWith(this.base) || !match?.groups) {
      throw new NotFoundError(`${url} is no file on the ML platform`);
    }
    return { repository: match.groups.repository, path: match.groups.path };
  }

  private async ask(
    path: string,
    etag: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Response> {
    try {
      const answer = await this.client.call(path, undefined, {
        headers: etag ? { 'if-none-match': etag } : {},
        signal,
      });
      if (answer.status === 304) {
        throw new NotModifiedError();
      }
      return answer;
    } catch (error) {
      if (error instanceof PlatformError && error.status === 404) {
        throw new NotFoundError(error.message);
      }
      throw error;
    }
  }
}

function stream(answer: Response): Readable {
  return Readable.fromWeb(answer.body as unknown as ReadableStream);
}
