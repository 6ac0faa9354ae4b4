/**
 * What the matrix of clients and servers asks of the two programs that its servers are made of.
 *
 * Both can do everything, under different names: each row is one capability and how it shows.
 */
/** How each capability shows at one of the two servers that the peers are made of. */
export interface Program {
  readonly call: Call & { readonly says: RegExp };
  readonly progress: Call;
  readonly slow: Call;
  readonly uri: string;
  readonly update: Call;
  /** Updates go on until they are asked for a second time. */
  readonly updatesToggle: boolean;
  readonly prompt: { readonly name: string; readonly arguments: Record<string, string>; readonly says: RegExp };
  readonly completion: { readonly prompt: string; readonly argument: string; readonly values: readonly string[] };
  readonly elicitation: Call & { readonly says: RegExp };
  readonly sampling: Call & { readonly says: RegExp };
  readonly roots: Call & { readonly says: RegExp };
  readonly change: Call & { readonly notification: string };
}

/** A tool by its name at the server. */
export interface Call {
  readonly name: string;
  readonly arguments: Record<string, unknown>;
}

/** `@modelcontextprotocol/server-everything`. */
export const EVERYTHING_PROGRAM: Program = {
  call: { name: 'echo', arguments: { message: 'grüße' }, says: /Echo: grüße/ },
  progress: { name: 'trigger-long-running-operation', arguments: { duration: 0.9, steps: 3 } },
  slow: { name: 'trigger-long-running-operation', arguments: { duration: 60, steps: 1_200 } },
  uri: 'demo://resource/static/document/features.md',
  update: { name: 'toggle-subscriber-updates', arguments: {} },
  updatesToggle: true,
  prompt: { name: 'args-prompt', arguments: { city: 'Paris' }, says: /Paris/ },
  completion: { prompt: 'completable-prompt', argument: 'department', values: ['Sales', 'Support'] },
  elicitation: { name: 'trigger-elicitation-request', arguments: {}, says: /Ada/ },
  sampling: { name: 'trigger-sampling-request', arguments: { prompt: 'hello' }, says: /sampled/ },
  roots: { name: 'get-roots-list', arguments: {}, says: /file:\/\/\/srv\/project/ },
  change: {
    name: 'gzip-file-as-resource',
    arguments: { name: 'matrix.gz', data: 'data:text/plain,matrix' },
    notification: 'notifications/resources/list_changed',
  },
};

/** The dual-era fixture of the conformance suite. */
export const FIXTURE_PROGRAM: Program = {
  call: { name: 'test_simple_text', arguments: {}, says: /simple text response/ },
  progress: { name: 'test_tool_with_progress', arguments: {} },
  slow: { name: 'test_tool_with_progress', arguments: {} },
  uri: 'test://watched-resource',
  update: { name: 'test_trigger_resource_update', arguments: {} },
  updatesToggle: false,
  prompt: { name: 'test_prompt_with_arguments', arguments: { arg1: 'eins', arg2: 'zwei' }, says: /arg1='eins'/ },
  completion: { prompt: 'test_prompt_with_arguments', argument: 'arg1', values: [] },
  elicitation: { name: 'test_elicitation', arguments: { message: 'Who?' }, says: /action=accept.*ada@example/ },
  sampling: { name: 'test_sampling', arguments: { prompt: 'hello' }, says: /LLM response: sampled/ },
  roots: { name: 'test_input_required_result_list_roots', arguments: {}, says: /file:\/\/\/srv\/project/ },
  change: { name: 'test_trigger_tool_change', arguments: {}, notification: 'notifications/tools/list_changed' },
};
