// Who may reach a service through the lab's front: whoever has a session token for it, or a token with which the backend
// gives out one.

import crypto from 'crypto';

const backend = 'http://127.0.0.1:8090';
const sessionSeconds = 15 * 60;

async function guard(r) {
	const permission = r.variables.permission;
	if (!belongsToProject(r.variables.service_id, r.variables.project_id)) {
		r.return(401, 'Requested service is not in specified project!');
		return;
	}
	const token = bare(r.headersIn.Authorization || r.variables.cookie_ct_token);
	const session = bare(r.variables.cookie_ct_session_token);
	if (!token && !session) {
		r.return(403, 'No auth cookie set');
		return;
	}
	let why = '';
	if (session) {
		why = whyNot(session, permission);
		if (!why) {
			r.internalRedirect('@service');
			return;
		}
	}
	if (!token) {
		r.return(403, why);
		return;
	}
	const fresh = await sessionToken(token, permission);
	if (!fresh) {
		// ML Lab stumbles over its own answer here, and the connection ends without one.
		r.return(444);
		return;
	}
	// Not below the lab's base path: there the browser never sends it back, as in ML Lab.
	const path = permission.slice(0, permission.lastIndexOf('#'));
	r.headersOut['Set-Cookie'] = ['', 'b'].map(
		(suffix) => `ct_session_token=${fresh}; HttpOnly; Path=/${path}${suffix}; Max-Age=${sessionSeconds - 5}`,
	);
	r.internalRedirect('@service');
}

function belongsToProject(service, project) {
	const found = /-p-([a-zA-Z0-9\-]+)-s-/.exec(service);
	return found !== null && found[1] === project;
}

function bare(token) {
	return (token || '').replace('Bearer', '').trim();
}

// The reason why a session token does not give the permission; '' when it does.
function whyNot(session, permission) {
	const parts = session.split('.');
	const signature = crypto.createHmac('sha256', process.env.JWT_TOKEN_SECRET).update(`${parts[0]}.${parts[1]}`).digest('base64url');
	if (parts.length !== 3 || parts[2] !== signature) {
		return 'JWT token not valid.';
	}
	const claims = JSON.parse(Buffer.from(parts[1], 'base64url').toString());
	if (claims.exp < Date.now() / 1000) {
		return 'JWT token not valid.';
	}
	if (!claims.scope.includes(permission) && !claims.scope.includes('admin')) {
		return 'JWT token does not contain correct permissions.';
	}
	return '';
}

// A session token for one permission, or '' when the backend gives none.
async function sessionToken(token, permission) {
	const asked = `token_type=session-token&scope=${encodeURIComponent(permission)}`;
	const answer = await ngx.fetch(`${backend}/auth/tokens?${asked}`, {
		method: 'POST',
		headers: { Authorization: `Bearer ${token}` },
	});
	return answer.status === 200 ? await answer.json() : '';
}

export default { guard };
