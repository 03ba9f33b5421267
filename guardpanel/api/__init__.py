"""JSON adapters: the contract of the React panel, and what is new beside it.

Reads a request into an input type, calls the same service function as the pages, and answers.
"""

from fastapi import APIRouter, Depends

from guardpanel.api import auth, logs, policies, problems, runtime, traffic, vhosts
from guardpanel.api.parameters import only_known

router = APIRouter(responses=problems.DOCUMENTED, dependencies=[Depends(only_known)])
for part in (auth, vhosts, policies, traffic, logs, runtime):
    router.include_router(part.router)
