import { createHashRouter, Navigate, type RouteObject } from 'react-router';
import { Session } from './components/Session';
import { Trouble } from './components/Trouble';
import { useUser } from './components/user';
import { AdminPage } from './features/admin/AdminPage';
import { CreatePage } from './features/create/CreatePage';
import { DetailPage } from './features/detail/DetailPage';
import { HomePage } from './features/home/HomePage';
import { StartPage } from './features/start/StartPage';
import { VolumesPage } from './features/volumes/VolumesPage';
import { pathTo } from './paths';

function ToHome() {
  return <Navigate to={pathTo.home(useUser())} replace />;
}

function Unexpected() {
  return (
    <Trouble
      error={{ detail: 'This page ran into something unexpected.', hint: 'Your workspaces are not affected.' }}
      label="Load it again"
      onRetry={() => window.location.reload()}
    />
  );
}

export const routes: RouteObject[] = [
  {
    Component: Session,
    ErrorBoundary: Unexpected,
    children: [
      { path: '/users/:userId/workspace', Component: HomePage },
      { path: '/users/:userId/workspace/new', Component: CreatePage },
      { path: '/users/:userId/workspace/:id/start', Component: StartPage },
      { path: '/users/:userId/workspace/:id/:tab?', Component: DetailPage },
      { path: '/users/:userId/volumes', Component: VolumesPage },
      { path: '/admin', Component: AdminPage },
      { path: '*', Component: ToHome },
    ],
  },
];

export const createRouter = () => createHashRouter(routes);
