import { useApi } from '@backstage/frontend-plugin-api';
import { useCallback, useEffect, useRef, useState } from 'react';
import useSWR, { SWRConfiguration } from 'swr';
import useSWRInfinite from 'swr/infinite';

import { Handlers, platformApiRef, Problem } from './client';
import { Page } from './types';

const RETRY_MILLISECONDS = 3000;

const RULES: SWRConfiguration = {
  // A platform that is down is asked again until it is up; a refusal stays one.
  onErrorRetry: (error, _key, _config, revalidate, { retryCount }) => {
    if (error instanceof Problem && error.passing) {
      setTimeout(() => revalidate({ retryCount }), RETRY_MILLISECONDS);
    }
  },
  keepPreviousData: true,
};

/** Something asked of the platform: the answer, or why there is none. */
export interface Loaded<T> {
  data?: T;
  error?: Problem;
  loading: boolean;
  reload: () => void;
}

/** Asks the platform; with `path` null nothing is asked yet. `refresh` is in seconds. */
export function useGet<T>(path: string | null, refresh = 0): Loaded<T> {
  const api = useApi(platformApiRef);
  const { data, error, isLoading, mutate } = useSWR<T, Problem>(
    path,
    (key: string) => api.get<T>(key),
    { ...RULES, refreshInterval: refresh * 1000 },
  );
  const reload = useCallback(() => void mutate(), [mutate]);
  return { data, error, loading: isLoading, reload };
}

/** A list that is read page by page, as far as somebody asked for more. */
export interface Pages<T> extends Loaded<T[]> {
  more?: () => void;
  total?: number;
}

/** Asks for a list; `path` is without `cursor`. */
export function usePages<T>(path: string, refresh = 0): Pages<T> {
  const api = useApi(platformApiRef);
  const { data, error, isLoading, mutate, size, setSize } = useSWRInfinite<
    Page<T>,
    Problem
  >(
    (index: number, before: Page<T> | null) => {
      if (index === 0) {
        return path;
      }
      const glue = path.includes('?') ? '&' : '?';
      return before?.nextCursor
        ? `${path}${glue}cursor=${before.nextCursor}`
        : null;
    },
    (key: string) => api.get<Page<T>>(key),
    { ...RULES, refreshInterval: refresh * 1000 },
  );
  const last = data?.[data.length - 1];
  return {
    data: data?.flatMap(page => page.items),
    error,
    loading: isLoading,
    total: data?.[0]?.total,
    reload: () => void mutate(),
    more: last?.nextCursor ? () => void setSize(size + 1) : undefined,
  };
}

/** Follows a stream of events while the component is shown; says whether the connection is lost at the moment. */
export function useFollow(path: string | null, handlers: Handlers): boolean {
  const api = useApi(platformApiRef);
  const [lost, setLost] = useState(false);
  const latest = useRef(handlers);
  latest.current = handlers;
  useEffect(() => {
    if (!path) {
      return undefined;
    }
    const current: Handlers = Object.fromEntries(
      Object.keys(latest.current).map(name => [
        name,
        (data: unknown) => latest.current[name]?.(data),
      ]),
    );
    return api.follow(path, current, setLost);
  }, [api, path]);
  return lost;
}

/** Something a person does: `run` does it once at a time, `error` says why it did not work. */
export function useAction<A extends unknown[]>(
  act: (...args: A) => Promise<unknown>,
): {
  run: (...args: A) => Promise<boolean>;
  busy: boolean;
  error?: Problem;
} {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Problem>();
  const at = useRef(false);
  const latest = useRef(act);
  latest.current = act;
  const run = useCallback(async (...args: A) => {
    if (at.current) {
      return false;
    }
    at.current = true;
    setBusy(true);
    setError(undefined);
    try {
      await latest.current(...args);
      return true;
    } catch (fault) {
      setError(
        fault instanceof Problem ? fault : new Problem(0, String(fault)),
      );
      return false;
    } finally {
      at.current = false;
      setBusy(false);
    }
  }, []);
  return { run, busy, error };
}
