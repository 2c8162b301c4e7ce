// The addresses of the pages. ML Lab opens the first one; links to all of them can be kept.
const part = encodeURIComponent;

export type DetailTab = 'overview' | 'logs' | 'settings';

export const pathTo = {
  home: (user: string) => `/users/${part(user)}/workspace`,
  create: (user: string) => `/users/${part(user)}/workspace/new`,
  start: (user: string, id: string) => `/users/${part(user)}/workspace/${part(id)}/start`,
  detail: (user: string, id: string, tab: DetailTab = 'overview') =>
    `/users/${part(user)}/workspace/${part(id)}${tab === 'overview' ? '' : `/${tab}`}`,
  admin: () => '/admin',
  volumes: (user: string) => `/users/${part(user)}/volumes`,
};
