import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { WampError, decode, encodeCall, encodePublish, encodeSubscribe, encodeUnsubscribe } from '../src/wamp.js';

describe('encoding', () => {
  it('writes each message of WAMP v1', () => {
    assert.equal(encodeSubscribe('oro/ping'), '[5,"oro/ping"]');
    assert.equal(encodeUnsubscribe('oro/ping'), '[6,"oro/ping"]');
    assert.equal(encodeCall('c1', 'presence', []), '[2,"c1","presence"]');
    assert.equal(encodeCall('c1', 'presence', ['a', { b: 1 }, null]), '[2,"c1","presence","a",{"b":1},null]');
    assert.equal(encodePublish('t', { a: 'é"' }), '[7,"t",{"a":"é\\""}]');
  });

  it('writes the receivers of a PUBLISH at their positions in WAMP v1', () => {
    assert.equal(encodePublish('t', 1, { excludeMe: true }), '[7,"t",1,true]');
    assert.equal(encodePublish('t', 1, { exclude: ['a'] }), '[7,"t",1,["a"]]');
    assert.equal(encodePublish('t', 1, { exclude: ['a'], eligible: ['b'] }), '[7,"t",1,["a"],["b"]]');
    assert.equal(encodePublish('t', 1, { excludeMe: true, eligible: ['b'] }), '[7,"t",1,true,["b"]]');
    assert.equal(encodePublish('t', 1, { eligible: ['b'] }), '[7,"t",1,[],["b"]]');
  });

  it('sends null for a payload that is undefined', () => {
    assert.equal(encodePublish('t', undefined), '[7,"t",null]');
  });

  it('refuses excludeMe and exclude together', () => {
    assert.throws(() => encodePublish('t', 1, { excludeMe: true, exclude: [] }), /both excludeMe and exclude/);
  });
});

describe('decoding', () => {
  it('reads each message of a server', () => {
    assert.deepEqual(decode('[0,"17923349366b06233d3a0be253797055",1,"Ratchet\\/0.4.4"]'), {
      type: 'welcome',
      sessionId: '17923349366b06233d3a0be253797055',
      server: 'Ratchet/0.4.4',
    });
    assert.deepEqual(decode('[3,"c1",{"a":1}]'), { type: 'callResult', callId: 'c1', result: { a: 1 } });
    assert.deepEqual(decode('[4,"c1","presence","no",{"code":404}]'), {
      type: 'callError',
      callId: 'c1',
      uri: 'presence',
      reason: 'no',
      details: { code: 404 },
    });
    assert.deepEqual(decode('[8,"oro/ping","x"]'), { type: 'event', topic: 'oro/ping', payload: 'x' });
  });

  it('reads the position of an event, which is a string', () => {
    assert.deepEqual(decode('[8,"t",[1],"17.9f3ac2d1"]'), { type: 'event', topic: 't', payload: [1], position: '17.9f3ac2d1' });
    assert.deepEqual(decode('[8,"t",[1],17]'), { type: 'event', topic: 't', payload: [1] });
  });

  it('reads a missing payload or result as null', () => {
    assert.deepEqual(decode('[8,"t"]'), { type: 'event', topic: 't', payload: null });
    assert.deepEqual(decode('[3,"c1"]'), { type: 'callResult', callId: 'c1', result: null });
  });

  it('accepts a call id that the server has turned into a number', () => {
    assert.equal(decode('[3,17,true]').callId, '17');
  });

  for (const frame of [
    'You are not allowed to subscribe on topic "T".',
    '',
    'null',
    '{"0":8,"1":"t"}',
    '[]',
    '[8]',
    '[8,7,"payload"]',
    '["8","t","payload"]',
    '[0,5,1,"x"]',
    '[0,"id",2,"another version"]',
    '[3,null,1]',
    '[4,"c1",null,"x"]',
    '[5,"a message of clients"]',
    '[9,"unknown"]',
  ]) {
    it(`refuses ${frame === '' ? 'an empty frame' : frame}`, () => {
      assert.throws(() => decode(frame), WampError);
    });
  }

  it('refuses a binary frame', () => {
    assert.throws(() => decode(new ArrayBuffer(8)), WampError);
  });

  it('shows only the beginning of a long message in the error', () => {
    assert.throws(() => decode('x'.repeat(100_000)), ({ message }) => message.includes('xxxx') && message.length < 200);
  });
});
