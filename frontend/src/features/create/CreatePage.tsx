import { useQuery } from '@tanstack/react-query';
import { useSearchParams } from 'react-router';
import { queries } from '../../api/cache';
import { errorOf } from '../../api/client';
import { useClient } from '../../api/context';
import { Blocks } from '../../components/Blocks';
import { Trouble } from '../../components/Trouble';
import { useDelayed } from '../../components/useDelayed';
import { CreateForm } from './CreateForm';

/** Waits for everything the form fills in by itself, so that nothing changes under the hand. */
export function CreatePage() {
  const client = useClient();
  const [search] = useSearchParams();
  const host = useQuery(queries.host(client));
  const images = useQuery(queries.images(client));
  const workspaces = useQuery(queries.workspaces(client));
  const volumes = useQuery(queries.volumes(client));
  const failed = [host, images, workspaces, volumes].find((query) => query.isError && query.data === undefined);
  const slow = useDelayed(failed === undefined && images.data === undefined);

  if (failed !== undefined) return <Trouble error={errorOf(failed.error)} onRetry={() => void failed.refetch()} />;
  if (!host.data || !images.data || !workspaces.data || !volumes.data) return slow ? <Blocks rows={5} /> : null;
  return (
    <>
      <title>New workspace · Workspaces</title>
      <CreateForm
        host={host.data}
        images={images.data}
        workspaces={workspaces.data}
        kept={volumes.data.filter((volume) => volume.used_by === null)}
        wish={{ anyImage: search.get('image') === 'any', volume: search.get('volume') ?? '' }}
      />
    </>
  );
}
