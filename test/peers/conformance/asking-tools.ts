/**
 * The tools of the conformance fixture that ask the client first: elicitation, sampling, roots, sealed state.
 *
 * One body serves both eras: at 2026-07-28 the result is `input_required` and the client retries with answers;
 * before, the SDK turns the same result into requests from server to client and calls the body again.
 */
import {
  CLIENT_CAPABILITIES_META_KEY,
  acceptedContent,
  inputRequired,
  type ClientCapabilities,
  type InputRequest,
  type McpServer,
  type ServerContext,
} from '@modelcontextprotocol/server';
import {
  NAME_FORM,
  STRING,
  answer,
  ask,
  formOf,
  roundState,
  sample,
  sampledText,
  text,
  toolAdder,
  type Args,
  type JsonSchema,
  type ToolResult,
} from './content.ts';

const CONFIRM_FORM = formOf({ ok: { type: 'boolean' } });

/** Every primitive type with a default. */
const DEFAULTS_FORM = formOf(
  {
    name: { ...STRING, default: 'John Doe' },
    age: { type: 'integer', default: 30 },
    score: { type: 'number', default: 95.5 },
    status: { ...STRING, enum: ['active', 'inactive', 'pending'], default: 'active' },
    verified: { type: 'boolean', default: true },
  },
  [],
);

const THREE_OPTIONS = { ...STRING, enum: ['option1', 'option2', 'option3'] };

/** Every spelling of a choice that the specification knows. */
const ENUMS_FORM = formOf(
  {
    untitledSingle: THREE_OPTIONS,
    titledSingle: { ...STRING, oneOf: titled('Option') },
    legacyEnum: { ...STRING, enum: ['opt1', 'opt2', 'opt3'], enumNames: ['Option One', 'Option Two', 'Option Three'] },
    untitledMulti: { type: 'array', items: THREE_OPTIONS },
    titledMulti: { type: 'array', items: { anyOf: titled('Choice') } },
  },
  [],
);

export function addAskingTools(server: McpServer): void {
  addBothEraTools(server);
  addInputRequiredTools(server);
  addStatefulTools(server);
}

function addBothEraTools(server: McpServer): void {
  const tool = toolAdder(server);
  const userForm = formOf({
    username: { ...STRING, description: "User's response" },
    email: { ...STRING, description: "User's email address" },
  });
  tool(
    'test_sampling',
    (args, context) => {
      const sampled = answer(context, 'q');
      if (sampled === undefined) return need({ q: sample(String(args['prompt'])) });
      return text(`LLM response: ${sampledText(sampled)}`);
    },
    formOf({ prompt: STRING }),
  );
  tool(
    'test_elicitation',
    (args, context) => {
      const form = answer(context, 'u');
      if (form === undefined) return need({ u: ask(String(args['message']), userForm) });
      return text(`User response: ${actionAndContent(form)}`);
    },
    formOf({ message: STRING }),
  );
  const forms: readonly (readonly [name: string, schema: JsonSchema])[] = [
    ['test_elicitation_sep1034_defaults', DEFAULTS_FORM],
    ['test_elicitation_sep1330_enums', ENUMS_FORM],
  ];
  for (const [name, schema] of forms) {
    tool(name, (_args, context) => {
      const form = answer(context, 'form');
      return form === undefined
        ? need({ form: ask(name, schema) })
        : text(`Elicitation completed: ${actionAndContent(form)}`);
    });
  }
}

function addInputRequiredTools(server: McpServer): void {
  const tool = toolAdder(server);
  tool('test_input_required_result_elicitation', (_args, context) => {
    const form = acceptedContent(context.mcpReq.inputResponses, 'user_name');
    const name = form?.['name'];
    return typeof name === 'string'
      ? text(`Hello, ${name}!`)
      : need({ user_name: ask('What is your name?', NAME_FORM) });
  });
  tool('test_streaming_elicitation', (_args, context) => {
    return answer(context, 'user_name') ? text('ok') : need({ user_name: ask('What is your name?', NAME_FORM) });
  });
  tool('test_missing_capability', (_args, context) => {
    return answer(context, 's') ? text('ok') : need({ s: sample('hi') });
  });
  tool('test_input_required_result_sampling', (_args, context) => {
    const sampled = answer(context, 'capital_question');
    if (sampled === undefined) return need({ capital_question: sample('What is the capital of France?') });
    return text(sampledText(sampled));
  });
  tool('test_input_required_result_list_roots', (_args, context) => {
    const listed = answer(context, 'client_roots');
    if (listed === undefined) return need({ client_roots: inputRequired.listRoots() });
    const roots = (listed['roots'] ?? []) as { uri: string }[];
    return text(`roots: ${roots.map((root) => root.uri).join(', ')}`);
  });
  tool('test_input_required_result_capabilities', (_args, context) => {
    if (context.mcpReq.inputResponses !== undefined) return text('ok');
    const capabilities = clientCapabilitiesOf(context);
    const requests: Record<string, InputRequest> = {};
    if (capabilities.elicitation) requests['e'] = ask('name?', NAME_FORM);
    if (capabilities.sampling) requests['s'] = sample('hi');
    return Object.keys(requests).length > 0 ? need(requests) : text('nothing to ask');
  });
}

function addStatefulTools(server: McpServer): void {
  const tool = toolAdder(server);
  for (const name of ['test_input_required_result_request_state', 'test_input_required_result_tampered_state']) {
    tool(name, (_args, context) => {
      if (stateOf(context) !== undefined && answer(context, 'confirm')) return text('state-ok');
      return needInRound(context, 1, { confirm: ask('Please confirm', CONFIRM_FORM) });
    });
  }
  tool('test_input_required_result_multiple_inputs', (_args, context) => {
    const all = ['user_name', 'greeting', 'client_roots'].every((key) => answer(context, key) !== undefined);
    if (all) return text('all received');
    return needInRound(context, 1, {
      user_name: ask('What is your name?', NAME_FORM),
      greeting: sample('Generate a greeting', 50),
      client_roots: inputRequired.listRoots(),
    });
  });
  tool('test_input_required_result_multi_round', (_args, context) => {
    const round = stateOf(context)?.round;
    if (round === 2 && answer(context, 'step2')) return text('finished');
    if (round === 1 && answer(context, 'step1')) {
      return needInRound(context, 2, { step2: ask('Step 2: What is your favorite color?', formOf({ color: STRING })) });
    }
    return needInRound(context, 1, { step1: ask('Step 1: What is your name?', NAME_FORM) });
  });
}

function need(inputRequests: Record<string, InputRequest>): ToolResult {
  return inputRequired({ inputRequests });
}

async function needInRound(
  context: ServerContext,
  round: number,
  inputRequests: Record<string, InputRequest>,
): Promise<ToolResult> {
  return inputRequired({ inputRequests, requestState: await roundState.mint({ round }, context) });
}

function clientCapabilitiesOf(context: ServerContext): ClientCapabilities {
  const envelope: Args = { ...context.mcpReq.envelope };
  return envelope[CLIENT_CAPABILITIES_META_KEY] ?? {};
}

function stateOf(context: ServerContext): { round: number } | undefined {
  return context.mcpReq.requestState<{ round: number }>();
}

function actionAndContent(form: Args): string {
  return `action=${String(form['action'])}, content=${JSON.stringify(form['content'] ?? {})}`;
}

function titled(prefix: string): { const: string; title: string }[] {
  return ['First', 'Second', 'Third'].map((word, index) => ({
    const: `value${index + 1}`,
    title: `${word} ${prefix}`,
  }));
}
